import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { type StoreTopic, storeSuite } from '@snapstep/core/conformance';
import { btrfsVolume, needs, placeOn, tempDir, tmpfsVolume, xfsVolume } from '@snapstep/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { RsyncStoreOptions } from '../src/index.ts';
import { place } from './support/place.ts';

const isRoot = process.getuid?.() === 0;

type Disk = { readonly path: string } & AsyncDisposable;

/** What takes long is tried once on each kind of disk that matters: the method makes no difference to it. */
const slow: readonly StoreTopic[] = ['load', 'aborts', 'sequences'];
/** The volumes are plain directories, in which the caller could write. */
const writable = 'refuses to write into a saved volume';

/** The suite with one disk for nearly all of its tests, each in a directory of its own. */
function suiteOn(
  makeDisk: (options?: { readonly sizeMiB: number }) => Promise<Disk>,
  options: Omit<RsyncStoreOptions, 'path'>,
  except: readonly StoreTopic[] = [],
): void {
  let disk: Disk;
  beforeAll(async () => {
    disk = await makeDisk();
  });
  afterAll(() => disk[Symbol.asyncDispose]());
  const open = async () => place(await mkdtemp(join(disk.path, 'test-')), options);
  const openSmall = async () => placeOn(await makeDisk({ sizeMiB: 320 }), (path) => place(path, options));
  storeSuite({ describe, it }, { open, ...(isRoot && { openSmall }), except: [...except, writable] });
}

/** The disk of the temporary directory. Nobody may fill that one, so small disks are in memory. */
async function anyDisk(options?: { readonly sizeMiB: number }): Promise<Disk> {
  return options ? tmpfsVolume({ sizeMiB: 64 }) : tempDir();
}

describe('the store on the disk of the temporary directory', () => suiteOn(anyDisk, {}));
needs('rsync')('the store on the disk of the temporary directory, with rsync', () =>
  suiteOn(anyDisk, { method: 'rsync' }, slow),
);
needs('rsync')('the store on the disk of the temporary directory, sharing identical files', () =>
  suiteOn(anyDisk, { linkIdentical: true }, slow),
);
needs('root', 'btrfs')('the store on Btrfs, with reflinks', () =>
  suiteOn(btrfsVolume, { method: 'reflink' }, slow),
);
needs('root', 'xfs')('the store on XFS, with reflinks', () =>
  suiteOn(xfsVolume, { method: 'reflink' }, ['load', 'sequences']),
);
