import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { storeSuite } from '@snapstep/core/conformance';
import { btrfsVolume, needs, tempDir } from '@snapstep/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import type { RsyncStoreOptions } from '../src/index.ts';
import { place } from './support/place.ts';
import { hasXfs, xfsVolume } from './support/xfs-volume.ts';

type Disk = { readonly path: string } & AsyncDisposable;

/** The suite with one disk for all of its tests, each in a directory of its own. */
function suiteOn(makeDisk: () => Promise<Disk>, options: Omit<RsyncStoreOptions, 'path'>): void {
  let disk: Disk;
  beforeAll(async () => {
    disk = await makeDisk();
  });
  afterAll(() => disk[Symbol.asyncDispose]());
  storeSuite({ describe, it }, { open: async () => place(await mkdtemp(join(disk.path, 'test-')), options) });
}

describe('the store on the disk of the temporary directory', () => suiteOn(tempDir, {}));
needs('rsync')('the store on the disk of the temporary directory, with rsync', () =>
  suiteOn(tempDir, { method: 'rsync' }),
);
needs('rsync')('the store on the disk of the temporary directory, sharing identical files', () =>
  suiteOn(tempDir, { linkIdentical: true }),
);
needs('root', 'btrfs')('the store on Btrfs, with reflinks', () =>
  suiteOn(() => btrfsVolume({ sizeMiB: 1024 }), { method: 'reflink' }),
);
describe.skipIf(!(await hasXfs()))('the store on XFS, with reflinks (needs root and mkfs.xfs)', () =>
  suiteOn(xfsVolume, { method: 'reflink' }),
);
