import { mountPointsBelow, runCommand, toCacheId, toHostPath } from '@snapstep/core/backend';
import { expectErr, expectOk, needs } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { brew, home, key, mounted, never, prepared, recordedStore, save } from './recorded-store.ts';

const cache = toCacheId('npm');
const owner = { uid: 1000, gid: 1000 };

needs('root')('the ZFS store, opened again', () => {
  it('leaves what is mounted to the new opening, whatever of the old one is disposed', async () => {
    await using place = await recordedStore();
    const { volumes } = await save(place.store, { key: key(1), from: { empty: [home] } });
    const old = expectOk((await volumes.get(home)?.mount()) ?? expect.fail('no volume'));
    const store = await place.reopen();
    const snapshot = expectOk(await store.lookup(key(1)));
    await mounted(snapshot?.volumes.get(home), async () => {
      expectOk(await runCommand('mount', ['--no-mtab', '-t', 'tmpfs', 'fake', old.path]));
      await old[Symbol.asyncDispose]();
      expect(expectOk(await mountPointsBelow(place.directory))).toEqual([old.path]);
      expectOk(await runCommand('umount', ['--no-mtab', old.path]));
    });
  });
});

describe('the ZFS store, when a command fails', () => {
  it('destroys again what is busy for a moment (Z2)', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    place.commands();
    const stderr = `cannot destroy 'tank/store/result/${key(1)}': dataset is busy`;
    place.fake.fail({ on: 'zfs destroy', times: 2, stderr });
    expectOk(await place.store.remove(key(1)));
    expect(place.commands()).toEqual(Array(3).fill('zfs destroy -r tank/store/result/K1'));
    expect(expectOk(await place.store.list())).toEqual([]);
  });

  it('unmounts again what is busy for a moment, and then destroys it (Z2)', async () => {
    await using place = await recordedStore();
    const active = await prepared(place.store, { key: key(1), from: { empty: [home] } });
    await mounted(active.volumes.get(home), async () => {
      place.commands();
      const stderr = "cannot unmount '/x': pool or dataset is busy";
      place.fake.fail({ on: 'zfs unmount', times: 2, stderr });
    });
    await active[Symbol.asyncDispose]();
    expect(place.commands()).toEqual([
      ...Array(3).fill('zfs unmount tank/store/result/K1/home'),
      'zfs destroy -r tank/store/result/K1',
    ]);
  });

  it('has the same answer at once where something was cloned from it', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    await save(place.store, { key: key(2), from: { snapshot: key(1) } });
    place.commands();
    expect(expectErr(await place.store.remove(key(1)))).toMatchObject({ type: 'busy' });
    const commands = place.commands();
    expect(new Set(commands)).toEqual(new Set(['zfs destroy -r tank/store/result/K1']));
    expect(commands.length).toBeLessThanOrEqual(2);
    expect(expectOk(await place.store.list()).length).toBe(2);
  });

  it('keeps the version before where a promotion fails, and nothing of the new one (Z3)', async () => {
    await using place = await recordedStore();
    await publish(place);
    place.fake.fail({ on: 'zfs promote', stderr: 'cannot promote: out of space' });
    await publish(place);
    const { datasets } = place.fake.pool;
    const versions = Object.keys(datasets).filter((name) => /\/c-npm\/|cache-tmp\//.test(name));
    expect(versions).toEqual([`${place.fake.name}/store/cache/c-npm/v1`]);
    place.commands();
    await using _copy = expectOk(await place.store.caches.checkOut(cache, owner));
    expect(place.commands()).toEqual([expect.stringContaining('tank/store/cache/c-npm/v1@v1')]);
  });

  it('saves nothing where one of two volumes cannot be made, and leaves nothing', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    place.fake.fail({ on: 'zfs clone', stderr: "cannot create 'x': out of space" });
    const request = { key: key(2), from: { snapshot: key(1) }, signal: never };
    expect(expectErr(await place.store.prepare(request))).toMatchObject({ type: 'no-space' });
    const { datasets } = place.fake.pool;
    expect(Object.keys(datasets).filter((name) => name.includes(key(2)))).toEqual([]);
  });

  it('leaves nothing of a commit that fails, and the key can be used again (Z15)', async () => {
    await using place = await recordedStore();
    await using active = await prepared(place.store, { key: key(1), from: { empty: [home] } });
    place.fake.fail({ on: 'zfs snapshot', stderr: 'cannot create snapshots : out of space' });
    expect(expectErr(await active.commit())).toMatchObject({ type: 'no-space' });
    expect(expectOk(await place.store.list())).toEqual([]);
    await save(place.store, { key: key(1), from: { empty: [home] } });
    expect(expectOk(await place.store.list())).toEqual([key(1)]);
  });

  it('unmounts again what a killed owner left mounted and is busy for a moment, so that it can be mounted', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    const saved = place.fake.pool.datasets[`${place.fake.name}/store/result/${key(1)}/home`];
    Object.assign(saved ?? {}, { isMounted: true });
    place.fake.fail({ on: 'zfs unmount', times: 2, stderr: "cannot unmount '/x': pool or dataset is busy" });
    const store = await place.reopen();
    expect(saved?.isMounted).toBe(false);
    await mounted(expectOk(await store.lookup(key(1)))?.volumes.get(home));
  });

  it('says that a parent is gone which somebody else destroyed, and makes it again', async () => {
    await using place = await recordedStore();
    const { name, pool } = place.fake;
    await save(place.store, { key: key(1), from: { empty: [home] } });
    delete pool.datasets[`${name}/store/result/${key(1)}/home`];
    delete pool.snapshots[`${name}/store/result/${key(1)}/home@snap`];
    const request = { key: key(2), from: { snapshot: key(1) }, signal: never };
    expect(expectErr(await place.store.prepare(request))).toMatchObject({ type: 'not-found', key: key(1) });
    expect(expectOk(await place.store.lookup(key(1)))).toBeUndefined();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    await save(place.store, { key: key(2), from: { snapshot: key(1) } });
    const store = await place.reopen();
    expect(expectOk(await store.list()).toSorted()).toEqual([key(1), key(2)]);
  });

  it('starts a cache again that somebody else destroyed', async () => {
    await using place = await recordedStore();
    await publish(place);
    const names = [place.fake.pool.datasets, place.fake.pool.snapshots];
    for (const all of names) {
      for (const name of Object.keys(all)) if (name.includes('/cache/')) delete all[name];
    }
    await publish(place);
    expect(expectOk(await (await place.reopen()).caches.list())).toEqual([cache]);
  });

  it('shows nothing of a base image that could be destroyed only in part', async () => {
    await using place = await recordedStore();
    const { baseImages } = place.store;
    if (baseImages === undefined) throw new Error('the store has no base images');
    await using made = expectOk(
      await baseImages.create({ name: 'mac', volumes: [home, brew], signal: never }),
    );
    expectOk(await made.commit());
    place.fake.fail({ on: 'zfs destroy', stderr: "cannot destroy 'x': I/O error" });
    expectOk(await baseImages.remove('mac'));
    expect(expectOk(await baseImages.list())).toEqual([]);
    const store = await place.reopen();
    expect(expectOk((await store.baseImages?.list()) ?? expect.fail())).toEqual([]);
  });

  it('destroys what it could not rename once, and never what has its name afterwards', async () => {
    await using place = await recordedStore();
    const active = await prepared(place.store, { key: key(1), from: { empty: [home] } });
    const stderr = 'cannot: I/O error';
    place.fake.fail({ on: 'zfs destroy', stderr }, { on: 'zfs rename', stderr });
    await active[Symbol.asyncDispose]();
    place.commands();
    const [, again] = await Promise.all([
      place.store.reclaimed(),
      prepared(place.store, { key: key(1), from: { empty: [home] } }),
    ]);
    expectOk(await again.commit());
    expect(place.commands().filter((command) => command.startsWith('zfs destroy'))).toHaveLength(1);
    expect(expectOk(await (await place.reopen()).list())).toEqual([key(1)]);
  });

  it('puts the mount point back of what could not be mounted where a Mac wants it', async () => {
    await using place = await recordedStore();
    await using active = await prepared(place.store, { key: key(1), from: { empty: [home] } });
    const volume = active.volumes.get(home);
    if (volume === undefined || place.store.placement === undefined) throw new Error('no volume to place');
    place.commands();
    place.fake.fail({ on: 'zfs mount', stderr: "cannot mount 'x': directory is not empty" });
    const target = toHostPath(`${place.directory}/target`);
    expect(expectErr(await place.store.placement.mountAt(volume, target))).toMatchObject({ type: 'failed' });
    expect(place.commands()).toEqual([
      'zfs set mountpoint=DIR/target tank/store/result/K1/home',
      'zfs mount tank/store/result/K1/home',
      'zfs set mountpoint=none tank/store/result/K1/home',
    ]);
  });

  it('takes back what somebody else mounted (Z14)', async () => {
    await using place = await recordedStore();
    const { volumes } = await save(place.store, { key: key(1), from: { empty: [home] } });
    const saved = place.fake.pool.datasets[`${place.fake.name}/store/result/${key(1)}/home`];
    Object.assign(saved ?? {}, { isMounted: true });
    place.commands();
    await mounted(volumes.get(home), async () => {
      expect(place.commands()).toEqual([
        'zfs mount -o ro tank/store/result/K1/home',
        'zfs unmount tank/store/result/K1/home',
        'zfs mount -o ro tank/store/result/K1/home',
      ]);
    });
  });

  it('says that an unmount that does not end needs a reboot, and launches nothing more until it ends (Z11)', async () => {
    await using place = await recordedStore({ stuckAfterMs: 5000 });
    const { volumes } = await save(place.store, { key: key(1), from: { empty: [home] } });
    await mounted(volumes.get(home), async () => {
      place.commands();
      place.fake.fail({ on: 'zfs unmount', hangs: true });
    });
    const request = { key: key(2), from: { snapshot: key(1) }, signal: never };
    expect(expectErr(await place.store.prepare(request))).toMatchObject({ type: 'stuck', needsReboot: true });
    expect(place.commands()).toEqual(['zfs unmount tank/store/result/K1/home']);
    place.fake.release();
    await expect.poll(() => place.store.usage(), { timeout: 20_000 }).toHaveProperty('value');
    await save(place.store, { key: key(2), from: { snapshot: key(1) } });
  });
});

async function publish({ store }: Awaited<ReturnType<typeof recordedStore>>): Promise<void> {
  await using copy = expectOk(await store.caches.checkOut(cache, owner));
  expectOk(await copy.publish());
}
