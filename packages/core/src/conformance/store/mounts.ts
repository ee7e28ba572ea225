import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId } from '../../backend/names.ts';
import type { Mounted, Volume } from '../../backend/volume.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { exists } from './lifecycle.ts';
import { storePromises as promises } from './promises.ts';
import { dispose, expectOk, key, rootfs, type Scene, type StoreTest } from './scene.ts';

/** What is mounted: what somebody leases, and no more. */
export function mountTests(test: StoreTest): void {
  test('mounts a saved volume twice, and each has a dispose of its own', async (scene) => {
    await scene.save(key(1), (path) => writeFile(join(path, 'f'), 'saved'));
    // Whoever asks for it gets a volume of his own.
    await twice(() => savedVolume(scene));
  });
  test('mounts an active volume twice, and each has a dispose of its own', async (scene) => {
    await using active = await scene.prepare(key(1));
    const volume = active.volumes.get(rootfs);
    keeps(promises.askedVolumes, volume !== undefined);
    await using mount = await expectOk(volume.mount());
    await writeFile(join(mount.path, 'f'), 'saved');
    await twice(async () => volume);
    keepsEqual(promises.ownMounts, await textIn(mount.path), 'saved');
  });
  test('shows through one mount what was written through another', async (scene) => {
    await using active = await scene.prepare(key(1));
    const volume = active.volumes.get(rootfs);
    keeps(promises.askedVolumes, volume !== undefined);
    await using one = await expectOk(volume.mount());
    await using other = await expectOk(volume.mount());
    await writeFile(join(one.path, 'f'), 'shared');
    keepsEqual(promises.ownMounts, await textIn(other.path), 'shared');
  });
  test('mounts one volume many times at once, and each has a dispose of its own', async (scene) => {
    await scene.save(key(1), (path) => writeFile(join(path, 'f'), 'saved'));
    const before = await scene.mounts();
    const volume = await savedVolume(scene);
    for (let round = 0; round < scene.scaled(6); round += 1) {
      const many = Array.from({ length: 5 }, () => expectMount(volume));
      const [last, ...others] = [await expectMount(volume), ...(await Promise.all(many))];
      await Promise.all(others.map(dispose));
      keepsEqual(promises.ownMounts, await textIn(last.path), 'saved');
      // The last one goes while another comes: a moment before it, or after.
      const early = round % 2 === 0 ? expectMount(volume) : undefined;
      const ended = dispose(last);
      const mount = await (early ?? expectMount(volume));
      await ended;
      keepsEqual(promises.ownMounts, await textIn(mount.path), 'saved');
      await dispose(mount);
    }
    keepsEqual(promises.leasedMounts, await scene.mounts(), before);
  });
  test('mounts no more than is leased, and nothing once nobody leases (Z8)', async (scene) => {
    const before = await scene.mounts();
    if (before === undefined) return;
    await useEverything(scene, before);
    keepsEqual(promises.leasedMounts, await scene.mounts(), before);
    await scene.reopen();
    keepsEqual(promises.leasedMounts, await scene.mounts(), before);
  });
  test('unmounts everything when the store is disposed, also what is still leased', async (scene) => {
    const before = await scene.place.mounts?.();
    if (before === undefined) return;
    await scene.save(key(1), (path) => writeFile(join(path, 'f'), ''));
    const active = await scene.prepare(key(2), { snapshot: key(1) });
    const copy = await scene.checkOut(toCacheId('apt'));
    const saved = await scene.lookup(key(1));
    const volumes = [active.volumes.get(rootfs), saved?.volumes.get(rootfs), copy.volume];
    const mounts: Mounted[] = [];
    for (const volume of volumes) if (volume !== undefined) mounts.push(await expectOk(volume.mount()));
    await dispose(scene.store);
    const left = await scene.place.mounts?.();
    keeps(promises.disposedMounts, left !== undefined && left <= before, `${left} are mounted`);
    // In any order, and with no store any more: `await using` does so when a program ends early.
    for (const late of [...mounts, active, copy]) await dispose(late);
    await scene.reopen();
    keepsEqual(promises.wiped, await scene.list(), [key(1)]);
  });
}

async function savedVolume(scene: Scene): Promise<Volume> {
  const volume = (await scene.lookup(key(1)))?.volumes.get(rootfs);
  keeps(promises.listed, volume !== undefined);
  return volume;
}

async function twice(volume: () => Promise<Volume>): Promise<void> {
  const one = await expectMount(await volume());
  const other = await expectMount(await volume());
  await dispose(one);
  await dispose(one);
  keepsEqual(promises.ownMounts, await textIn(other.path), 'saved');
  await dispose(other);
  const again = await expectMount(await volume());
  keepsEqual(promises.ownMounts, await textIn(again.path), 'saved');
  await dispose(again);
}

function expectMount(volume: Volume): Promise<Mounted> {
  return expectOk(volume.mount(), promises.ownMounts);
}

/** Everything that may be mounted, and every way in which it may end. */
async function useEverything(scene: Scene, before: number): Promise<void> {
  await scene.save(key(1), (path) => writeFile(join(path, 'f'), 'x'));
  const check = async (leases: number) => {
    const now = (await scene.mounts()) ?? 0;
    keeps(promises.leasedMounts, now - before <= leases, `${now - before} for ${leases} leases`);
  };
  await check(0);
  const dropped = await scene.prepare(key(2), { snapshot: key(1) });
  const committed = await scene.prepare(key(3), { snapshot: key(1) });
  const copy = await scene.checkOut(toCacheId('apt'));
  await check(0);
  const saved = await scene.lookup(key(1));
  const volumes = [dropped, committed, saved].map((one) => one?.volumes.get(rootfs));
  const mounts: Mounted[] = [];
  for (const volume of [...volumes, copy.volume]) {
    if (volume === undefined) continue;
    mounts.push(await expectOk(volume.mount()), await expectOk(volume.mount()));
    await check(mounts.length);
  }
  for (const [number, mount] of mounts.entries()) {
    await dispose(mount);
    await check(mounts.length - number - 1);
  }
  await expectOk(copy.publish());
  await expectOk(committed.commit());
  for (const ended of [dropped, committed, copy]) await dispose(ended);
  await check(0);
}

async function textIn(path: string): Promise<string> {
  if (!(await exists(path))) return `${path} is gone`;
  return readFile(join(path, 'f'), 'utf8').catch(String);
}
