import { join } from 'node:path';
import type { Result } from 'neverthrow';
import type { Outcome, StoreError } from '../../backend/failures.ts';
import { type StepKey, toCacheId } from '../../backend/names.ts';
import type { ActiveSnapshot, PrepareRequest } from '../../backend/store.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { fillFile, MIB } from './fill-file.ts';
import { writeA } from './lifecycle.ts';
import { storePromises as promises } from './promises.ts';
import {
  dispose,
  expectOk,
  key,
  mounted,
  rootfs,
  type Scene,
  type StoreTest,
  settled,
  somebody,
  within,
} from './scene.ts';

const SIZE = 8 * MIB;
const MOST = 128;
const npm = toCacheId('npm');

/** A disk with no room left. The builder then removes what nobody has used for long, and tries again. */
export function fullDiskTests(test: StoreTest): void {
  test('saves a step or answers `no-space`, and nothing else changes', async (scene) => {
    await scene.save(key(0), writeA);
    const before = { tree: await scene.tree(key(0)), mounts: await scene.mounts() };
    await using disk = await fullDisk(scene);
    const saved = [...disk.saved];
    for (const from of [{ snapshot: key(0) }, { empty: [rootfs] }]) {
      const at = key(MOST + 2 + saved.length);
      const { isSaved } = await tryToSave(scene, at, from);
      keepsEqual(promises.noSpace, (await scene.lookup(at)) !== undefined, isSaved);
      if (isSaved) saved.push(at);
    }
    keepsEqual(promises.noSpace, await scene.list(), [key(0), ...saved].sort());
    keepsEqual(promises.noSpace, await scene.tree(key(0)), before.tree);
    await dispose(disk);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
    keepsEqual(promises.leasedMounts, await scene.mounts(), before.mounts);
  });
  test('keeps the version of a cache that it has when there is no room for another', async (scene) => {
    await scene.publish(npm, writeA);
    const before = await scene.cacheTree(npm);
    await using disk = await fullDisk(scene);
    const copy = await unlessFull(scene.store.caches.checkOut(npm, somebody));
    let isPublished = false;
    if (copy.isOk()) {
      await mounted(copy.value.volume, fillUp);
      isPublished = (await unlessFull(copy.value.publish())).isOk();
      await dispose(copy.value);
    }
    keepsEqual(promises.noSpace, await scene.listCaches(), [npm]);
    await dispose(disk);
    for (const at of disk.saved) await expectOk(scene.store.remove(at), promises.fullRemove);
    await expectOk(scene.store.reclaimed());
    if (!isPublished) keepsEqual(promises.noSpace, await scene.cacheTree(npm), before);
  });
  test('removes a snapshot, after which there is room for another', async (scene) => {
    await using disk = await fullDisk(scene);
    const [first] = disk.saved;
    await expectOk(scene.store.remove(first), promises.fullRemove);
    await expectOk(scene.store.reclaimed());
    const { isWhole } = await tryToSave(scene, first, { empty: [rootfs] }, SIZE / 2);
    keeps(promises.fullRemove, isWhole, 'there is no room for half of what was removed');
  });
  test('opens again with all that was saved', async (scene) => {
    await scene.save(key(0), writeA);
    const before = await scene.tree(key(0));
    await using disk = await fullDisk(scene);
    const isSaved = (await unlessFull(disk.last.commit())).isOk();
    await scene.reopen();
    const saved = [key(0), ...disk.saved, ...(isSaved ? [disk.lastKey] : [])];
    keepsEqual(promises.reopened, await scene.list(), saved.sort());
    keepsEqual(promises.reopened, await scene.tree(key(0)), before);
  });
}

interface FullDisk extends AsyncDisposable {
  /** Each has {@link SIZE} bytes, but for the last. */
  readonly saved: readonly [StepKey, ...StepKey[]];
  /** Holds what room was left. It goes when this is disposed. */
  readonly last: ActiveSnapshot;
  readonly lastKey: StepKey;
}

/** Saves snapshots until no other fits, and then takes the rest. */
async function fullDisk(scene: Scene): Promise<FullDisk> {
  const lastKey = key(MOST + 1);
  const last = await scene.prepare(lastKey);
  const saved: StepKey[] = [];
  for (let isWhole = true; isWhole; ) {
    const at = key(saved.length + 1);
    const end = await tryToSave(scene, at, { empty: [rootfs] });
    if (end.isSaved) saved.push(at);
    isWhole = end.isWhole;
    if (saved.length > MOST)
      throw new Error(`the place of openSmall has room for more than ${MOST * SIZE} bytes`);
  }
  await within(last.volumes, fillUp);
  const [first, ...others] = saved;
  if (first === undefined || others.length < 2)
    throw new Error(`the place of openSmall has no room for ${4 * SIZE} bytes`);
  return {
    saved: [first, ...others],
    last,
    lastKey,
    [Symbol.asyncDispose]: () => last[Symbol.asyncDispose](),
  };
}

/** What a step leaves behind that writes more than there is room for, and does not look at what came of it. */
async function tryToSave(
  scene: Scene,
  at: StepKey,
  from: PrepareRequest['from'],
  bytes = SIZE,
): Promise<{ readonly isSaved: boolean; readonly isWhole: boolean }> {
  const { signal } = new AbortController();
  const prepared = await unlessFull(scene.store.prepare({ key: at, from, signal }));
  if (prepared.isErr()) return { isSaved: false, isWhole: false };
  await using active = prepared.value;
  const filled = await within(active.volumes, (path) => fillFile(join(path, 'random'), bytes));
  keeps(promises.noSpace, filled === 'written' || filled === 'full', `writing fails with ${filled}`);
  const isSaved = (await unlessFull(active.commit())).isOk();
  return { isSaved, isWhole: isSaved && filled === 'written' };
}

/** Takes the room that is left, to the last page. A store that counts only what is saved has no end of it. */
async function fillUp(path: string): Promise<void> {
  const file = join(path, 'random');
  if ((await fillFile(file, 2 * SIZE)) === 'full') await fillFile(file, MIB, 4096);
}

/** What a call gives that may find no room. */
async function unlessFull<T>(outcome: Outcome<T, StoreError>): Promise<Result<T, StoreError>> {
  const result = await settled(outcome);
  keeps(promises.noSpace, result.isOk() || result.error.type === 'no-space', result);
  return result;
}
