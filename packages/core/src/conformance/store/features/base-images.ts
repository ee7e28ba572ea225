import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PinnedImage } from '../../../backend/fetcher.ts';
import { toVolumeName, type VolumeName } from '../../../backend/names.ts';
import type { ActiveImage, ActiveSnapshot, StoreFeatures, StoreWith } from '../../../backend/store.ts';
import type { Volume } from '../../../backend/volume.ts';
import { keeps, keepsEqual } from '../../promise.ts';
import { describeTree } from '../describe-tree.ts';
import { storePromises as promises } from '../promises.ts';
import {
  type Change,
  dispose,
  expectOk,
  key,
  mounted,
  rootfs,
  type Scene,
  type StoreTest,
  settled,
} from '../scene.ts';

/** Base images that live in the store. */
export function baseImageTests(test: StoreTest): void {
  makingTests(test);
  usingTests(test);
  removingTests(test);
}

function makingTests(test: StoreTest): void {
  test('knows a base image only once it is committed', async (scene) => {
    keepsEqual(promises.imageMissing, await pin(scene), undefined);
    keepsEqual(promises.imageCommitted, await expectOk(images(scene).list()), []);
    const request = { name: 'tools', volumes: [rootfs], signal: new AbortController().signal };
    await using active = await expectOk(images(scene).create(request));
    await mounted(rootOf(active), write('first'));
    keepsEqual(promises.imageCommitted, await pin(scene), undefined);
    keepsEqual(promises.imageCommitted, await expectOk(images(scene).list()), []);
    const made = await expectOk(active.commit());
    keepsEqual(promises.imageCommitted, made.name, 'tools');
    keepsEqual(promises.imageCommitted, await pin(scene), made);
    keepsEqual(promises.imageCommitted, await expectOk(images(scene).list()), [made]);
    await scene.reopen();
    keepsEqual(promises.imageCommitted, await pin(scene), made);
  });
  test('shows base images to no `lookup` and no `list` of snapshots', async (scene) => {
    await make(scene, write('first'));
    keepsEqual(promises.listed, await scene.list(), []);
  });
  test('throws away a base image that was not committed, also when the store ends', async (scene) => {
    const signal = new AbortController().signal;
    const first = await make(scene, write('first'));
    for (const end of [dispose, () => scene.reopen()]) {
      const active = await expectOk(images(scene).create({ name: 'tools', volumes: [rootfs], signal }));
      await mounted(rootOf(active), write('lost'));
      await end(active);
      await dispose(active);
      keepsEqual(promises.imageDropped, await pin(scene), first);
      keepsEqual(promises.imageDropped, await contentOf(scene, { image: first, number: 1 }), 'first');
    }
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('gives another digest to other content, and keeps what was made from the old (M1)', async (scene) => {
    const first = await make(scene, write('first'));
    await saveFrom(scene, { image: first, number: 1 });
    const before = await scene.tree(key(1));
    const second = await make(scene, write('second'));
    keeps(promises.imageDigest, first.digest !== second.digest, { first, second });
    keepsEqual(promises.imageCommitted, await expectOk(images(scene).list()), [second]);
    keepsEqual(promises.imageReplaced, await scene.tree(key(1)), before);
    keepsEqual(promises.imageCloned, await contentOf(scene, { image: second, number: 2 }), 'second');
    await scene.reopen();
    keepsEqual(promises.imageReplaced, await scene.tree(key(1)), before);
    await scene.save(key(3), async () => {}, key(1));
    keepsEqual(promises.imageReplaced, await scene.tree(key(3)), before);
  });
}

function usingTests(test: StoreTest): void {
  test('starts a snapshot with everything of its base image, in every volume', async (scene) => {
    const names = [toVolumeName('brew'), toVolumeName('home')];
    let made: readonly string[] = [];
    const image = await make(
      scene,
      async (path) => {
        await write('first')(path);
        made = await describeTree(path);
      },
      names,
    );
    await using active = await scene.prepare(key(1), { baseImage: image });
    keepsEqual(promises.imageCloned, [...active.volumes.keys()].sort(), names);
    const home = active.volumes.get(toVolumeName('home'));
    keepsEqual(promises.imageCloned, await mounted(home as Volume, describeTree), made);
    await expectOk(active.commit());
  });
  test('does not let a snapshot change its base image', async (scene) => {
    const image = await make(scene, write('first'));
    await using active = await scene.prepare(key(1), { baseImage: image });
    await mounted(rootOf(active), write('changed'));
    await expectOk(active.commit());
    keepsEqual(promises.immutable, await contentOf(scene, { image, number: 2 }), 'first');
    keepsEqual(promises.imageDigest, (await pin(scene))?.digest, image.digest);
  });
  test('cannot start from a base image that is not there, or is not that one any more', async (scene) => {
    const first = await make(scene, write('first'));
    await make(scene, write('second'));
    for (const baseImage of [first, { ...first, name: 'none' }]) {
      const signal = new AbortController().signal;
      const prepared = await settled(scene.store.prepare({ key: key(1), from: { baseImage }, signal }));
      if (prepared.isOk()) await dispose(prepared.value);
      keeps(promises.imageMissing, prepared.isErr(), `${baseImage.name} ${baseImage.digest}`);
    }
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
}

function removingTests(test: StoreTest): void {
  test('removes a base image, and what is not there as well', async (scene) => {
    await make(scene, write('first'));
    await expectOk(images(scene).remove('tools'), promises.imageRemoved);
    await expectOk(images(scene).remove('tools'), promises.imageRemoved);
    keepsEqual(promises.imageRemoved, await pin(scene), undefined);
    keepsEqual(promises.imageRemoved, await expectOk(images(scene).list()), []);
    await scene.reopen();
    keepsEqual(promises.imageRemoved, await expectOk(images(scene).list()), []);
  });
  test('is `busy` to remove a base image that is in use', async (scene) => {
    const image = await make(scene, write('first'));
    const active = await scene.prepare(key(1), { baseImage: image });
    await expectBusy(scene);
    await expectOk(active.commit());
    await expectBusy(scene);
    keepsEqual(promises.imageBusy, (await pin(scene))?.digest, image.digest);
    await expectOk(scene.store.remove(key(1)));
    await expectOk(scene.store.reclaimed());
    await expectOk(images(scene).remove('tools'), promises.imageBusy);
  });
}

export function images(scene: Scene): StoreFeatures['baseImages'] {
  return (scene.store as StoreWith<'baseImages'>).baseImages;
}

export function pin(scene: Scene): Promise<PinnedImage | undefined> {
  return expectOk(images(scene).pin('tools'));
}

/** Makes the image `tools`; each of its volumes is changed by `change`. */
export async function make(
  scene: Scene,
  change: Change,
  volumes: readonly VolumeName[] = [rootfs],
): Promise<PinnedImage> {
  const signal = new AbortController().signal;
  await using active = await expectOk(images(scene).create({ name: 'tools', volumes, signal }));
  for (const volume of active.volumes.values()) await mounted(volume, change);
  return await expectOk(active.commit(), promises.imageCommitted);
}

export function write(text: string): Change {
  return (path) => writeFile(join(path, 'file'), text);
}

/** What a snapshot made from the image says. */
export async function contentOf(
  scene: Scene,
  from: { readonly image: PinnedImage; readonly number: number },
): Promise<string> {
  await saveFrom(scene, from);
  const text = await scene.look(key(from.number), (path) =>
    readFile(join(path, 'file'), 'utf8').catch(String),
  );
  await expectOk(scene.store.remove(key(from.number)));
  return text;
}

async function saveFrom(
  scene: Scene,
  { image, number }: { readonly image: PinnedImage; readonly number: number },
): Promise<void> {
  await using active = await scene.prepare(key(number), { baseImage: image });
  await expectOk(active.commit());
}

function rootOf({ volumes }: ActiveImage | ActiveSnapshot): Volume {
  return volumes.get(rootfs) as Volume;
}

async function expectBusy(scene: Scene): Promise<void> {
  const removed = await settled(images(scene).remove('tools'));
  keeps(promises.imageBusy, removed.isErr() && removed.error.type === 'busy', removed);
}
