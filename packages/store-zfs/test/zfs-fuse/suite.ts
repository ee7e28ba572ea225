import { mkdtemp } from 'node:fs/promises';
import { orThrow, runCommand, toHostPath } from '@snapstep/core/backend';
import { type StorePlace, storeSuite, type TestFunctions } from '@snapstep/core/conformance';
import { openZfsStore } from '../../src/index.ts';

let places = 0;

/** The suite of stores, but for what zfs-fuse itself cannot do. Features are checked on OpenZFS alone. */
const LEFT_OUT = [
  'features',
  // It keeps neither extended attributes nor access control lists, of times only the seconds, and names are its own.
  'special files',
  'content',
  'names',
  // After `umount --lazy` of a place that is in use, the daemon does not answer any more.
  'drops a snapshot that a process still has open, and can use the key again (Z1)',
  // The quick loop shall be quick; OpenZFS runs these as well.
  'load',
  'sequences',
  'keeps apart names that differ in any way, and lists them (C12, C14)',
];

export function suite(functions: TestFunctions): void {
  storeSuite(functions, { open: () => place(), openSmall: () => place('44M'), scale: 0.1, except: LEFT_OUT });
}

/** A store in a dataset and a directory of its own. Both end with the namespaces. */
async function place(quota = 'none'): Promise<StorePlace> {
  places += 1;
  const dataset = `fuse/place-${places}`;
  orThrow(await runCommand('zfs', ['create', '-o', 'mountpoint=none', '-o', `quota=${quota}`, dataset]));
  const directory = toHostPath(await mkdtemp('/run/place-'));
  const open = () => openZfsStore({ dataset, directory });
  return {
    store: orThrow(await open()),
    reopen: async () => orThrow(await open()),
    openSecond: open,
    async [Symbol.asyncDispose]() {},
  };
}
