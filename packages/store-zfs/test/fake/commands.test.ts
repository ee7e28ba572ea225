import { mkdir, realpath, symlink } from 'node:fs/promises';
import { toCacheId, toHostPath } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { openZfsStore } from '../../src/index.ts';
import { brew, home, key, mounted, never, prepared, recordedStore, save } from './recorded-store.ts';

const owner = { uid: 1000, gid: 1000 };
const awkward = toCacheId('a b%/ü');
const C = 'tank/store/cache/c-a:20b:25:2f:c3:bc';
const FRESH = '-o canmount=noauto -o mountpoint=MNT';

describe('the commands of the ZFS store (T4)', () => {
  it('make each volume of a first step, and save both at once', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home, brew] } });
    expect(place.commands()).toEqual([
      `zfs create -p ${FRESH} tank/store/result/K1/home`,
      `zfs create -p ${FRESH} tank/store/result/K1/brew`,
      'zfs snapshot -r -o snapstep:volumes=home,brew tank/store/result/K1@snap',
    ]);
  });

  it('clone each volume of a parent, which is three processes for a step', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home, brew] } });
    place.commands();
    await save(place.store, { key: key(2), from: { snapshot: key(1) } });
    expect(place.commands()).toEqual([
      `zfs clone -p ${FRESH} tank/store/result/K1/home@snap tank/store/result/K2/home`,
      `zfs clone -p ${FRESH} tank/store/result/K1/brew@snap tank/store/result/K2/brew`,
      'zfs snapshot -r -o snapstep:volumes=home,brew tank/store/result/K2@snap',
    ]);
  });

  it('are none for what is saved already, nor to list it', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    place.commands();
    expect(expectOk(await place.store.lookup(key(1)))?.volumes.has(home)).toBe(true);
    expect(expectOk(await place.store.list())).toEqual([key(1)]);
    expect(place.commands()).toEqual([]);
  });

  it('mount what is leased, once, and a saved volume read-only', async () => {
    await using place = await recordedStore();
    const { volumes } = await save(place.store, { key: key(1), from: { empty: [home] } });
    place.commands();
    await mounted(volumes.get(home), () => mounted(volumes.get(home)));
    expect(place.commands()).toEqual([
      'zfs mount -o ro tank/store/result/K1/home',
      'zfs unmount tank/store/result/K1/home',
    ]);
  });

  it('take a volume from who still has it mounted since before it was saved, and roll back what he wrote', async () => {
    await using place = await recordedStore();
    await using active = await prepared(place.store, { key: key(1), from: { empty: [home] } });
    await using early = expectOk((await active.volumes.get(home)?.mount()) ?? expect.fail('no volume'));
    const { volumes } = expectOk(await active.commit());
    place.commands();
    await mounted(volumes.get(home), async () => early[Symbol.asyncDispose]());
    expect(place.commands()).toEqual([
      'zfs unmount tank/store/result/K1/home',
      'zfs rollback tank/store/result/K1/home@snap',
      'zfs mount -o ro tank/store/result/K1/home',
      'zfs unmount tank/store/result/K1/home',
    ]);
  });

  it('roll back what was written until an unmount that came with the commit', async () => {
    await using place = await recordedStore();
    await using active = await prepared(place.store, { key: key(1), from: { empty: [home] } });
    const early = expectOk((await active.volumes.get(home)?.mount()) ?? expect.fail('no volume'));
    const [saved] = await Promise.all([active.commit(), early[Symbol.asyncDispose]()]);
    place.commands();
    await mounted(expectOk(saved).volumes.get(home));
    expect(place.commands()[0]).toBe('zfs rollback tank/store/result/K1/home@snap');
  });

  it('put a volume where a Mac wants it, and take both back with one', async () => {
    await using place = await recordedStore();
    await using active = await prepared(place.store, { key: key(1), from: { empty: [home] } });
    place.commands();
    const volume = active.volumes.get(home);
    if (volume === undefined || place.store.placement === undefined) throw new Error('no volume to place');
    const target = toHostPath(`${place.directory}/target`);
    {
      await using _there = expectOk(await place.store.placement.mountAt(volume, target));
    }
    expect(place.commands()).toEqual([
      'zfs set mountpoint=DIR/target tank/store/result/K1/home',
      'zfs mount tank/store/result/K1/home',
      'zfs set mountpoint=none tank/store/result/K1/home',
    ]);
  });

  it('destroy what is dropped, and what is removed', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    place.commands();
    const active = await prepared(place.store, { key: key(2), from: { snapshot: key(1) } });
    await active[Symbol.asyncDispose]();
    expectOk(await place.store.remove(key(1)));
    expect(place.commands().slice(1)).toEqual([
      'zfs destroy -r tank/store/result/K2',
      'zfs destroy -r tank/store/result/K1',
    ]);
  });

  it('make the first version of a cache, whatever its name (T3)', async () => {
    await using place = await recordedStore();
    await using copy = expectOk(await place.store.caches.checkOut(awkward, owner));
    expectOk(await copy.publish());
    expect(place.commands()).toEqual([
      `zfs create ${FRESH} tank/store/cache-tmp/NEW`,
      'zfs snapshot tank/store/cache-tmp/NEW@v1',
      `zfs create -o canmount=off ${C}`,
      `zfs rename -p tank/store/cache-tmp/NEW ${C}/v1`,
    ]);
    expect(expectOk(await place.store.caches.list())).toEqual([awkward]);
  });

  it('replace a version of a cache, and keep nothing of the old one', async () => {
    await using place = await recordedStore();
    await publish(place.store);
    place.commands();
    await publish(place.store);
    expect(place.commands()).toEqual([
      `zfs clone -p ${FRESH} ${C}/v1@v1 tank/store/cache-tmp/NEW`,
      'zfs snapshot tank/store/cache-tmp/NEW@v2',
      `zfs rename -p tank/store/cache-tmp/NEW ${C}/v2`,
      `zfs promote ${C}/v2`,
      `zfs destroy -r ${C}/v1`,
      `zfs destroy -d ${C}/v2@v1`,
    ]);
    const { datasets, snapshots } = place.fake.pool;
    const names = [...Object.keys(datasets), ...Object.keys(snapshots)].filter((name) => /\/c-a/.test(name));
    expect(names.map((name) => name.replace(/^.*\/c-a[^/]*/, '')).sort()).toEqual(['', '/v2', '/v2@v2']);
  });

  it.each([0, 512])('ask once whether a cache was changed: by %i bytes', async (written) => {
    await using place = await recordedStore();
    await publish(place.store);
    await using copy = expectOk(await place.store.caches.checkOut(awkward, owner));
    await mounted(copy.volume);
    for (const [name, found] of Object.entries(place.fake.pool.datasets)) {
      if (name.includes('/cache-tmp/')) found.written = written;
    }
    place.commands();
    expect(expectOk(await copy.changed())).toBe(written > 0);
    expect(place.commands()).toEqual(['zfs get -Hp -o value written tank/store/cache-tmp/NEW']);
  });

  it('open a store by three questions', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    place.commands();
    await place.reopen();
    expect(place.commands()).toEqual([
      'zfs version',
      'zfs get -Hp -o property,value,source all tank/store',
      'zfs list -Hp -r -t filesystem,snapshot -o name,guid,origin,mounted,mountpoint,written,snapstep:volumes,snapstep:id tank/store',
    ]);
  });

  it('set what the pool has otherwise, and what keeps others from taking snapshots', async () => {
    await using place = await recordedStore();
    const { name, pool } = place.fake;
    expect(pool.datasets[`${name}/store`]?.properties).toMatchObject({ 'com.sun:auto-snapshot': 'false' });
    Object.assign(pool.datasets[name]?.properties ?? {}, { exec: 'off', setuid: 'off', sharenfs: 'on' });
    await place.reopen();
    expect(place.commands()).toContain('zfs set exec=on setuid=on sharenfs=off tank/store');
  });

  it('name mount points as the system does, whatever links lead to the directory', async () => {
    await using place = await recordedStore();
    await place.store[Symbol.asyncDispose]();
    const dataset = `${place.fake.name}/linked`;
    place.fake.pool.datasets[dataset] = { guid: 3, properties: {}, isMounted: false, written: 0 };
    const directory = toHostPath(`${place.directory}/../link`);
    await mkdir(`${place.directory}/../real`);
    await symlink('real', directory);
    for (const number of [1, 2]) {
      await using store = expectOk(await openZfsStore({ dataset, directory }));
      place.fake.calls();
      await save(store, { key: key(number), from: { empty: [home] } });
      expect(place.fake.calls()[0]).toContain(`mountpoint=${await realpath(directory)}/mnt/`);
    }
  });

  it.each([
    ['readonly', 'on', 'is read-only'],
    ['keystatus', 'unavailable', 'its key is not loaded'],
  ])('change nothing where nothing could be written: %s=%s', async (property, value, message) => {
    await using place = await recordedStore();
    const { name, pool } = place.fake;
    await place.store[Symbol.asyncDispose]();
    Object.assign(pool.datasets[`${name}/store`]?.properties ?? {}, { [property]: value });
    place.commands();
    const opened = await openZfsStore({ dataset: `${name}/store`, directory: place.directory });
    expect(expectErr(opened)).toMatchObject({ type: 'failed', message: expect.stringContaining(message) });
    expect(place.commands().filter((command) => !/^zfs (version|get)/.test(command))).toEqual([]);
  });

  it('destroy what a killed owner left, and unmount what it had mounted (Z15)', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    const { name, pool } = place.fake;
    const left = { guid: 99, properties: { canmount: 'noauto' }, isMounted: false, written: 0 };
    pool.datasets[`${name}/store/result/${key(2)}`] = { ...left };
    pool.datasets[`${name}/store/cache-tmp/left`] = { ...left };
    Object.assign(pool.datasets[`${name}/store/result/${key(1)}/home`] ?? {}, { isMounted: true });
    place.commands();
    await place.reopen();
    const changes = place.commands().slice(3).sort();
    expect(changes).toEqual([
      'zfs destroy -r tank/store/cache-tmp/left',
      'zfs destroy -r tank/store/result/K2',
      'zfs unmount tank/store/result/K1/home',
    ]);
    expect(expectOk(await place.store.list())).toEqual([key(1)]);
  });

  it('are none for a parent that is gone', async () => {
    await using place = await recordedStore();
    const request = { key: key(2), from: { snapshot: key(1) }, signal: never };
    expect(expectErr(await place.store.prepare(request))).toMatchObject({ type: 'not-found', key: key(1) });
    expect(place.commands()).toEqual([]);
  });
});

async function publish(store: Awaited<ReturnType<typeof recordedStore>>['store']): Promise<void> {
  await using copy = expectOk(await store.caches.checkOut(awkward, owner));
  expectOk(await copy.publish());
}
