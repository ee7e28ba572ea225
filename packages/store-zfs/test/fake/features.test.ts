import { type StoreFeatures, toCacheId } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { brew, home, key, mounted, never, prepared, recordedStore, save } from './recorded-store.ts';

const IMAGE = 'tank/store/base-image/c-a:20b:25:2f:c3:bc';
const FRESH = '-o canmount=noauto -o mountpoint=MNT';
const image = { name: 'a b%/ü', volumes: [home, brew], signal: never };
const LOOK =
  'zfs list -Hp -r -t filesystem,snapshot -o name,guid,origin,mounted,mountpoint,written,snapstep:volumes,snapstep:id';

describe('the commands of what only the ZFS store can do (T4)', () => {
  it('make a base image out of sight, and rename it into place when it is whole, whatever its name (T3)', async () => {
    await using place = await recordedStore();
    await makeImage(place.store.baseImages);
    expect(place.commands()).toEqual([
      `zfs create -p ${FRESH} tank/store/trash/NEW/home`,
      `zfs create -p ${FRESH} tank/store/trash/NEW/brew`,
      'zfs snapshot -r -o snapstep:volumes=home,brew tank/store/trash/NEW@snap',
      `${LOOK} tank/store/trash/NEW`,
      `zfs rename -p tank/store/trash/NEW ${IMAGE}/v1`,
    ]);
  });

  it('are none to pin a base image, and clone it for a first step', async () => {
    await using place = await recordedStore();
    await makeImage(place.store.baseImages);
    place.commands();
    const baseImage = expectOk((await place.store.baseImages?.pin(image.name)) ?? expect.fail());
    expect(place.commands()).toEqual([]);
    await save(place.store, { key: key(1), from: { baseImage: baseImage ?? expect.fail('not pinned') } });
    expect(place.commands()).toEqual([
      `zfs clone -p ${FRESH} ${IMAGE}/v1/brew@snap tank/store/result/K1/brew`,
      `zfs clone -p ${FRESH} ${IMAGE}/v1/home@snap tank/store/result/K1/home`,
      'zfs snapshot -r -o snapstep:volumes=brew,home tank/store/result/K1@snap',
    ]);
  });

  it('keep the old base image out of sight while a snapshot was made from it', async () => {
    await using place = await recordedStore();
    await makeImage(place.store.baseImages);
    const baseImage = expectOk((await place.store.baseImages?.pin(image.name)) ?? expect.fail());
    await save(place.store, { key: key(1), from: { baseImage: baseImage ?? expect.fail('not pinned') } });
    place.commands();
    await makeImage(place.store.baseImages);
    expect(place.commands().slice(4)).toEqual([
      `zfs rename -p tank/store/trash/NEW ${IMAGE}/v2`,
      `zfs destroy -r ${IMAGE}/v1`,
      `zfs rename -u ${IMAGE}/v1 tank/store/trash/NEW`,
    ]);
    const { datasets } = place.fake.pool;
    const origin = datasets[`${place.fake.name}/store/result/${key(1)}/home`]?.origin;
    expect(origin).toMatch(/\/trash\/[^/]+\/home@snap$/);
  });

  it('do not try to destroy the old base image with each cache that is given back', async () => {
    await using place = await recordedStore();
    await makeImage(place.store.baseImages);
    const baseImage = expectOk((await place.store.baseImages?.pin(image.name)) ?? expect.fail());
    await save(place.store, { key: key(1), from: { baseImage: baseImage ?? expect.fail('not pinned') } });
    await makeImage(place.store.baseImages);
    place.commands();
    await using copy = expectOk(await place.store.caches.checkOut(toCacheId('npm'), { uid: 0, gid: 0 }));
    await copy[Symbol.asyncDispose]();
    expect(place.commands().filter((command) => command.includes('/trash/'))).toEqual([]);
  });

  it('set one quota for all volumes of a step', async () => {
    await using place = await recordedStore();
    await using active = await prepared(place.store, { key: key(1), from: { empty: [home, brew] } });
    place.commands();
    expectOk((await place.store.quota?.limit(active, 1e9)) ?? expect.fail('there are no quotas'));
    expect(place.commands()).toEqual(['zfs set quota=1000000000 tank/store/result/K1']);
  });

  it('ask for space that is being freed only after something was destroyed (Z16)', async () => {
    await using place = await recordedStore();
    expectOk(await place.store.reclaimed());
    expect(place.commands()).toEqual([]);
    await save(place.store, { key: key(1), from: { empty: [home] } });
    expectOk(await place.store.remove(key(1)));
    place.commands();
    expectOk(await place.store.reclaimed());
    expect(place.commands()).toEqual(['zpool get -Hp -o value freeing tank']);
  });
});

describe('what a ZFS store is bounded by', () => {
  it('is the number of datasets and snapshots: no more are made, until something is removed (Z9)', async () => {
    await using place = await recordedStore({ maxObjects: 8 });
    await save(place.store, { key: key(1), from: { empty: [home] } });
    await save(place.store, { key: key(2), from: { empty: [home] } });
    place.commands();
    const request = { key: key(3), from: { snapshot: key(1) }, signal: never };
    expect(expectErr(await place.store.prepare(request))).toMatchObject({
      type: 'no-space',
      message: expect.stringContaining('"maxObjects" allows 8'),
    });
    const body = ReadableStream.from<Uint8Array>([]);
    const received = await place.store.transfer?.receive(key(3), body, { signal: never });
    expect(received && expectErr(received)).toMatchObject({ type: 'no-space' });
    expect(place.commands()).toEqual([]);
    expectOk(await place.store.remove(key(2)));
    await save(place.store, { key: key(3), from: { snapshot: key(1) } });
  });

  it('is the number of mounts: no more are made, until one is given back (Z8)', async () => {
    await using place = await recordedStore({ maxMounts: 1 });
    const { volumes } = await save(place.store, { key: key(1), from: { empty: [home, brew] } });
    await mounted(volumes.get(home), async () => {
      await mounted(volumes.get(home));
      const refused = (await volumes.get(brew)?.mount()) ?? expect.fail('no volume');
      expect(expectErr(refused)).toMatchObject({
        type: 'busy',
        message: expect.stringContaining('"maxMounts" allows no more'),
      });
    });
    await mounted(volumes.get(brew));
  });
});

async function makeImage(images: StoreFeatures['baseImages'] | undefined): Promise<void> {
  if (images === undefined) throw new Error('the store has no base images');
  await using active = expectOk(await images.create(image));
  expectOk(await active.commit());
}
