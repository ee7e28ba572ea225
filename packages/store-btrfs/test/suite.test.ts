import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { storeSuite } from '@snapstep/core/conformance';
import { btrfsVolume, needs, placeOn } from '@snapstep/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { place } from './support/place.ts';

needs('root', 'btrfs')('the Btrfs store', () => {
  let disk: Awaited<ReturnType<typeof btrfsVolume>>;
  beforeAll(async () => {
    disk = await btrfsVolume({ sizeMiB: 1024 });
  });
  afterAll(() => disk[Symbol.asyncDispose]());
  storeSuite(
    { describe, it },
    {
      open: async () => place(await mkdtemp(join(disk.path, 'test-')), {}),
      openSmall: async () => placeOn(await btrfsVolume({ sizeMiB: 200 }), (path) => place(path, {})),
    },
  );
});
