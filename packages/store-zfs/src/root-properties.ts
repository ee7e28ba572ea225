import type { Properties, Property } from './zfs.ts';

/**
 * What every file system of a store must have: access times would make each look a change, lists and small
 * attributes must survive, and nobody may wander into `.zfs` (Z10). A platform lacks some of them, or takes one value.
 */
const WANTED: Properties = {
  atime: 'off',
  snapdir: 'hidden',
  ...(process.platform === 'linux' ? { acltype: 'posix', xattr: 'sa' } : {}),
};

/** Other words for the same value, by the platform or the version. */
const SAME: Readonly<Record<string, readonly string[]>> = { acltype: ['posix', 'posixacl'] };

/** What is to be set on the root dataset, given what it has; nothing but at the first open. */
export function missingProperties(found: ReadonlyMap<string, Property>, own: Properties): Properties {
  const lacking = Object.entries(WANTED).filter(([name, value]) => {
    const property = found.get(name);
    return property !== undefined && !(SAME[name] ?? [value]).includes(property.value);
  });
  const differing = Object.entries(own).filter(([name, value]) => {
    const property = found.get(name);
    return property?.value !== value || property.source !== 'local';
  });
  return Object.fromEntries([...lacking, ...differing]);
}
