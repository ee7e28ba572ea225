import { failed, type StoreError } from '@snapstep/core/backend';
import type { Properties, Property } from './zfs.ts';

/**
 * What every file system of a store must have: access times would make each look a change, lists and small
 * attributes must survive, and nobody may wander into `.zfs` (Z10). Steps start programs, also setuid ones, and what a
 * pool shares or shows on a desktop shall not have each mount of a step in it. A platform lacks some of them, or takes
 * one value.
 */
const WANTED: Properties = {
  ...{ atime: 'off', snapdir: 'hidden', exec: 'on', setuid: 'on', sharenfs: 'off', sharesmb: 'off' },
  ...(process.platform === 'linux' ? { acltype: 'posix', xattr: 'sa', devices: 'on' } : {}),
  ...(process.platform === 'darwin' ? { 'com.apple.browse': 'off' } : {}),
};

/** Programs that take snapshots of everything every hour would keep what is removed, and hide what is written. */
const OWN: Properties = { 'com.sun:auto-snapshot': 'false' };

/** Other words for the same value, by the platform or the version. */
const SAME: Readonly<Record<string, readonly string[]>> = { acltype: ['posix', 'posixacl'] };

/** What is to be set on the root dataset, given what it has; nothing but at the first open. */
export function missingProperties(found: ReadonlyMap<string, Property>, own: Properties): Properties {
  const lacking = Object.entries(WANTED).filter(([name, value]) => {
    const property = found.get(name);
    return property !== undefined && !(SAME[name] ?? [value]).includes(property.value);
  });
  const differing = Object.entries({ ...OWN, ...own }).filter(([name, value]) => {
    const property = found.get(name);
    return property?.value !== value || property.source !== 'local';
  });
  return Object.fromEntries([...lacking, ...differing]);
}

/** What keeps a dataset from being a store, whatever is set on it. */
export function obstacle(dataset: string, found: ReadonlyMap<string, Property>): StoreError | undefined {
  if (found.get('readonly')?.value === 'on') {
    return failed(`${dataset} is read-only. If it is no copy of another: zfs set readonly=off ${dataset}`);
  }
  if (found.get('keystatus')?.value === 'unavailable') {
    return failed(`${dataset} is encrypted, and its key is not loaded: see zfs-load-key(8)`);
  }
  return undefined;
}
