import { link, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId, toVolumeName } from '../../backend/names.ts';
import type { Mounted } from '../../backend/volume.ts';
import { keepsEqual } from '../promise.ts';
import { survives } from './content.ts';
import { namesIn } from './lifecycle.ts';
import { storePromises as promises } from './promises.ts';
import { dispose, expectOk, key, mounted, rootfs, type StoreTest } from './scene.ts';

/** More of each thing than fits into what somebody thought to be plenty. */
export function manyTests(test: StoreTest): void {
  test('keeps 300 names of one file', (scene) =>
    survives(scene, promises.hardLinks, async (path) => {
      await writeFile(join(path, 'first'), 'x');
      for (let name = 0; name < scene.scaled(300, 80); name += 1)
        await link(join(path, 'first'), join(path, `${name}`));
    }));
  test('keeps 14 volumes of one snapshot', async (scene) => {
    const names = numbered(scene.scaled(14, 12)).map((number) => toVolumeName(`volume-${number}`));
    await using active = await scene.prepare(key(1), { empty: names });
    for (const [name, volume] of active.volumes)
      await mounted(volume, (path) => writeFile(join(path, name), ''));
    await expectOk(active.commit());
    await using child = await scene.prepare(key(2), { snapshot: key(1) });
    keepsEqual(promises.askedVolumes, [...child.volumes.keys()].sort(), [...names].sort());
    for (const [name, volume] of everyEighth([...child.volumes])) {
      keepsEqual(promises.allVolumes, await mounted(volume, namesIn), [name]);
    }
  });
  test('keeps and lists 20 caches', async (scene) => {
    const ids = numbered(scene.scaled(20, 18)).map((number) => toCacheId(`cache ${number}`));
    for (const id of ids) await scene.publish(id, (path) => writeFile(join(path, id), ''));
    keepsEqual(promises.listedCaches, await scene.listCaches(), [...ids].sort());
    for (const id of everyEighth(ids)) {
      await using copy = await scene.checkOut(id);
      keepsEqual(promises.newestCache, await mounted(copy.volume, namesIn), [id]);
    }
  });
  test('mounts one volume 40 times at once', async (scene) => {
    await scene.save(key(1), (path) => writeFile(join(path, 'file'), ''));
    const before = await scene.mounts();
    const volume = (await scene.lookup(key(1)))?.volumes.get(rootfs);
    if (volume === undefined) return;
    const mounts: Mounted[] = [];
    for (const _ of numbered(40)) mounts.push(await expectOk(volume.mount(), promises.ownMounts));
    for (const mount of mounts) {
      keepsEqual(promises.ownMounts, await namesIn(mount.path), ['file']);
      await dispose(mount);
    }
    keepsEqual(promises.leasedMounts, await scene.mounts(), before);
  });
}

/** From the last on. */
function everyEighth<T>(all: readonly T[]): readonly T[] {
  return all.toReversed().filter((_, at) => at % 8 === 0);
}

function numbered(count: number): readonly number[] {
  return Array.from({ length: count }, (_, number) => number);
}
