import { crashSuite, storeSuite } from '@snapstep/core/conformance';
import { needs, type ZfsPool, zfsPool } from '@snapstep/test-support';
import { afterAll, beforeAll, describe, it } from 'vitest';
import { crashPlace, place } from '../support/place.ts';

needs('root', 'openzfs')('the ZFS store on OpenZFS', () => {
  let pool: ZfsPool;
  beforeAll(async () => {
    pool = await zfsPool({ sizeMiB: 2500 });
  });
  afterAll(() => pool[Symbol.asyncDispose]());

  // In an emulated machine a snapshot takes half a second. What files are like is kept by OpenZFS itself, and zfs-fuse
  // shows that we do not spoil it: `npm run test:openzfs` has that as well.
  const isAll = process.env.SNAPSTEP_OPENZFS === 'all';
  storeSuite(
    { describe, it },
    {
      open: () => place(pool.name),
      openSmall: () => place(pool.name, { quota: '44M' }),
      features: ['placement', 'baseImages', 'quota', 'transfer'],
      scale: isAll ? 0.2 : 0.1,
      except: isAll ? [] : ['content', 'names', 'special files'],
    },
  );
  crashSuite({ describe, it }, { place: () => crashPlace(pool.name), rounds: 3 });
});
