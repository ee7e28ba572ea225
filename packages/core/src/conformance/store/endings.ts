import { appendFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId } from '../../backend/names.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { exists, namesIn, writeA, writeB } from './lifecycle.ts';
import { storePromises as promises } from './promises.ts';
import { dispose, expectOk, key, mounted, rootfs, type Scene, type StoreTest, within } from './scene.ts';

const apt = toCacheId('apt');

/** What ends while somebody uses it, or after the store that it belongs to. */
export function endingTests(test: StoreTest): void {
  test('saves nothing that is written after the commit, where there still is a path', async (scene) => {
    await using active = await scene.prepare(key(1));
    const volume = active.volumes.get(rootfs);
    keeps(promises.askedVolumes, volume !== undefined);
    const mount = await expectOk(volume.mount());
    await writeA(mount.path);
    await expectOk(active.commit());
    const before = await scene.tree(key(1));
    for (const write of [writeB, (path: string) => appendFile(join(path, 'a'), ' and more')]) {
      await write(mount.path).catch(() => {});
    }
    // ZFS has one mount for all: it takes back what was written there before somebody else gets it.
    await dispose(mount);
    await dispose(active);
    keepsEqual(promises.immutable, await scene.tree(key(1)), before);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('drops a snapshot that somebody has mounted, whose own dispose does no harm', async (scene) => {
    const before = await scene.mounts();
    const active = await scene.prepare(key(1));
    const volume = active.volumes.get(rootfs);
    keeps(promises.askedVolumes, volume !== undefined);
    const mount = await expectOk(volume.mount());
    await writeA(mount.path);
    await dispose(active);
    keepsEqual(promises.dropped, await scene.lookup(key(1)), undefined);
    keeps(promises.dropped, !(await exists(join(mount.path, 'a'))), `${mount.path}/a is there`);
    await scene.save(key(1), writeB);
    await dispose(mount);
    keepsEqual(promises.keyAgain, await scene.look(key(1), namesIn), ['b']);
    keepsEqual(promises.leasedMounts, await scene.mounts(), before);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('is not troubled by what ends after the store that it belongs to', async (scene) => {
    const late = await everythingOf(scene);
    await scene.reopen();
    await using active = await scene.prepare(key(1));
    await using copy = await scene.checkOut(apt);
    await within(active.volumes, writeB);
    await mounted(copy.volume, writeB);
    for (const old of late) await dispose(old);
    keepsEqual(promises.endedLate, await within(active.volumes, namesIn), ['b']);
    keepsEqual(promises.endedLate, await mounted(copy.volume, namesIn), ['b']);
    await expectOk(active.commit(), promises.endedLate);
    await expectOk(copy.publish(), promises.endedLate);
    keepsEqual(promises.endedLate, await scene.look(key(1), namesIn), ['b']);
    const second = await scene.place.openSecond?.();
    if (second?.isOk()) await dispose(second.value);
    keeps(promises.oneOwner, second?.isOk() !== true, 'it was opened twice');
  });
}

/** The store, and what it has given out: each is in use, and none has ended. */
async function everythingOf(scene: Scene): Promise<readonly AsyncDisposable[]> {
  const active = await scene.prepare(key(1));
  const copy = await scene.checkOut(apt);
  const mounts: AsyncDisposable[] = [];
  for (const volume of [...active.volumes.values(), copy.volume]) {
    const mount = await expectOk(volume.mount());
    await writeFile(join(mount.path, 'a'), 'a');
    mounts.push(mount);
  }
  return [...mounts, active, copy, scene.store];
}
