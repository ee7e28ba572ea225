/**
 * The quick loop of the ZFS store: `npm run test:zfs`. Its commands over a fake that answers as OpenZFS does, and the
 * suite of stores on zfs-fuse. All of it is part of `npm test` as well. Arguments go to vitest, such as `-t` and a title.
 */
import { vitestCommand } from './checks/vitest-command.ts';

const FILES = [
  'packages/store-zfs/test/zfs.test.ts',
  'packages/store-zfs/test/fake',
  'packages/store-zfs/test/zfs-fuse',
];

process.exitCode = await vitestCommand({ args: [...FILES, ...process.argv.slice(2)] });
