import { chmod, lstat, mkdir, mkdtemp, readFile, rmdir, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { toHostPath } from '../../../backend/names.ts';
import type { StoreWith } from '../../../backend/store.ts';
import type { Mounted, Volume } from '../../../backend/volume.ts';
import { keepsEqual } from '../../promise.ts';
import { namesIn } from '../lifecycle.ts';
import { storePromises as promises } from '../promises.ts';
import { dispose, expectOk, key, rootfs, type Scene, type StoreTest } from '../scene.ts';

/** Volumes at places that the caller chooses. */
export function placementTests(test: StoreTest): void {
  test('mounts an active volume where the caller says, and what is written there is saved', async (scene) => {
    await using target = await targetDirectory();
    await using active = await scene.prepare(key(1));
    const mount = await place(scene, { volume: active.volumes.get(rootfs), target: target.path });
    keepsEqual(promises.placed, mount.path, target.path);
    keepsEqual(promises.placed, (await namesIn(target.path)).length, 0);
    await writeFile(join(target.path, 'made'), 'here');
    await dispose(mount);
    await expectOk(active.commit());
    const text = await scene.look(key(1), (path) => readFile(join(path, 'made'), 'utf8').catch(String));
    keepsEqual(promises.placed, text, 'here');
  });
  test('gives the target back as it was, when the mount is disposed, also twice', async (scene) => {
    await using target = await targetDirectory();
    await chmod(target.path, 0o2750);
    const [before, directory] = [await scene.mounts(), await modeAndOwner(target.path)];
    await scene.save(key(1), (path) => writeFile(join(path, 'saved'), ''));
    const mount = await place(scene, {
      volume: (await scene.lookup(key(1)))?.volumes.get(rootfs),
      target: target.path,
    });
    keepsEqual(promises.placed, await namesIn(target.path), ['saved']);
    await dispose(mount);
    await dispose(mount);
    keepsEqual(promises.displaced, await namesIn(target.path), []);
    keepsEqual(promises.displaced, await scene.mounts(), before);
    keepsEqual(promises.displaced, await modeAndOwner(target.path), directory);
  });
  test('places one volume, then another, at one target', async (scene) => {
    await using target = await targetDirectory();
    for (const name of ['one', 'two']) {
      await using active = await scene.prepare(key(1));
      const mount = await place(scene, { volume: active.volumes.get(rootfs), target: target.path });
      await writeFile(join(target.path, name), '');
      keepsEqual(promises.placed, await namesIn(target.path), [name]);
      await dispose(mount);
      keepsEqual(promises.displaced, await namesIn(target.path), []);
    }
  });
  test(
    'places a volume so that nobody can write to it there',
    async (scene) => {
      await using target = await targetDirectory();
      await scene.save(key(1), (path) => writeFile(join(path, 'saved'), 'text'));
      const volume = (await scene.lookup(key(1)))?.volumes.get(rootfs);
      const mount = await place(scene, { volume, target: target.path, readOnly: true });
      const refused = await writeFile(join(target.path, 'new'), '').then(
        () => 'it was written to',
        (error: NodeJS.ErrnoException) => error.code,
      );
      keepsEqual(promises.placedReadOnly, refused, 'EROFS');
      keepsEqual(promises.placed, await namesIn(target.path), ['saved']);
      await dispose(mount);
      keepsEqual(promises.displaced, await namesIn(target.path), []);
    },
    { root: true },
  );
  test('takes away what it placed when the store is disposed', async (scene) => {
    await using target = await targetDirectory();
    await using active = await scene.prepare(key(1));
    const mount = await place(scene, { volume: active.volumes.get(rootfs), target: target.path });
    await writeFile(join(target.path, 'made'), 'here');
    await dispose(scene.store);
    keepsEqual(promises.disposedMounts, await namesIn(target.path), []);
    await dispose(mount);
    await scene.reopen();
  });
}

async function place(
  scene: Scene,
  options: { readonly volume: Volume | undefined; readonly target: string; readonly readOnly?: boolean },
): Promise<Mounted> {
  const { placement } = scene.store as StoreWith<'placement'>;
  const { volume, target, readOnly = false } = options;
  const placed = placement.mountAt(volume as Volume, toHostPath(target), { readOnly });
  return expectOk(placed, promises.placed);
}

async function modeAndOwner(path: string): Promise<string> {
  const { mode, uid, gid } = await lstat(path);
  return `${mode.toString(8)} ${uid}:${gid}`;
}

/** An empty directory, like that of a home. */
async function targetDirectory(): Promise<{ readonly path: string } & AsyncDisposable> {
  const parent = await mkdtemp(join(tmpdir(), 'snapstep-target-'));
  const path = join(parent, 'home');
  await mkdir(path);
  return { path, [Symbol.asyncDispose]: () => removeTarget(parent) };
}

/** Only what is empty: a volume that is still mounted there is not deleted. */
async function removeTarget(parent: string): Promise<void> {
  await rmdir(join(parent, 'home')).catch(() => {});
  await rmdir(parent).catch(() => {});
}
