import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { toVolumeName } from '../../backend/names.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from './describe-tree.ts';
import { storePromises as promises } from './promises.ts';
import { dispose, expectOk, key, mounted, type StoreTest, settled, within } from './scene.ts';

/** When a snapshot is there, and when it is not. */
export function lifecycleTests(test: StoreTest): void {
  savingTests(test);
  volumeTests(test);
  pairingTests(test);
  endingTests(test);
  restartTests(test);
}

function savingTests(test: StoreTest): void {
  test('knows nothing at first', async (scene) => {
    keepsEqual(promises.committed, await scene.lookup(key(1)), undefined);
    keepsEqual(promises.listed, await scene.list(), []);
    keepsEqual(promises.listedCaches, await scene.listCaches(), []);
  });
  test('shows a snapshot only once it is committed', async (scene) => {
    await using active = await scene.prepare(key(1));
    await within(active.volumes, writeA);
    keepsEqual(promises.committed, await scene.lookup(key(1)), undefined);
    keepsEqual(promises.listed, await scene.list(), []);
    await expectOk(active.commit());
    keeps(
      promises.committed,
      (await scene.lookup(key(1))) !== undefined,
      'it was committed and is not found',
    );
    keepsEqual(promises.listed, await scene.list(), [key(1)]);
  });
  test('answers a commit with the snapshot', async (scene) => {
    await using active = await scene.prepare(key(1));
    await within(active.volumes, writeA);
    const saved = await expectOk(active.commit());
    keepsEqual(promises.committedKey, saved.key, key(1));
    keepsEqual(promises.committedKey, (await scene.lookup(key(1)))?.key, key(1));
    const found = await within(saved.volumes, describeTree);
    keepsEqual(promises.committedKey, found, await scene.tree(key(1)));
  });
  test('answers a commit with every volume, which can be used from then on', async (scene) => {
    const names = ['home', 'home-2', 'homes'].map(toVolumeName);
    const active = await scene.prepare(key(1), { empty: names });
    for (const [name, volume] of active.volumes)
      await mounted(volume, (path) => writeFile(join(path, name), ''));
    const saved = await expectOk(active.commit());
    await dispose(active);
    await scene.save(key(2), writeA);
    keepsEqual(promises.committedKey, [...saved.volumes.keys()].sort(), names);
    for (const [name, volume] of saved.volumes) {
      keepsEqual(promises.committedKey, volume.name, name);
      keepsEqual(promises.committedKey, await mounted(volume, namesIn), [name]);
    }
  });
  test('answers `not-found` with the key where the parent is not saved', async (scene) => {
    const signal = new AbortController().signal;
    const prepared = await settled(scene.store.prepare({ key: key(2), from: { snapshot: key(1) }, signal }));
    const error = prepared.isErr() ? prepared.error : 'it was prepared';
    keeps(promises.notFound, prepared.isErr() && prepared.error.type === 'not-found', error);
    keepsEqual(promises.notFound, prepared.error.key, key(1));
    keepsEqual(promises.listed, await scene.list(), []);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
}

function volumeTests(test: StoreTest): void {
  const names = [toVolumeName('brew'), toVolumeName('home')];
  test('saves every volume, and nothing of a volume that was not asked for', async (scene) => {
    await using active = await scene.prepare(key(1), { empty: names });
    keepsEqual(promises.askedVolumes, [...active.volumes.keys()].sort(), names);
    for (const [name, volume] of active.volumes) {
      await mounted(volume, (path) => writeFile(join(path, 'name'), name));
    }
    await expectOk(active.commit());
    await using child = await scene.prepare(key(2), { snapshot: key(1) });
    keepsEqual(promises.askedVolumes, [...child.volumes.keys()].sort(), names);
    for (const [name, volume] of child.volumes) {
      keepsEqual(promises.askedVolumes, volume.name, name);
      const tree = await mounted(volume, describeTree);
      keeps(promises.allVolumes, tree.length === 2, tree);
    }
  });
  test('gives a fresh volume that is empty, with mode 0755', async (scene) => {
    await using active = await scene.prepare(key(1));
    await within(active.volumes, async (path) => {
      keepsEqual(promises.freshVolumes, ((await stat(path)).mode & 0o7777).toString(8), '755');
      keepsEqual(promises.freshVolumes, (await describeTree(path)).slice(1), []);
    });
    await expectOk(active.commit());
    keepsEqual(promises.freshVolumes, (await scene.tree(key(1))).slice(1), []);
  });
}

function pairingTests(test: StoreTest): void {
  test('keeps what it is paired with, and is paired with nothing at first', async (scene) => {
    const paired = (): Promise<string | undefined> => expectOk(scene.store.pairing.get());
    keepsEqual(promises.paired, await paired(), undefined);
    for (const text of ['3f0c5d0e-first', '77aa-second']) {
      await expectOk(scene.store.pairing.set(text));
      keepsEqual(promises.paired, await paired(), text);
      await scene.save(key(1), writeA);
      await scene.reopen();
      keepsEqual(promises.paired, await paired(), text);
      await expectOk(scene.store.remove(key(1)));
    }
    const other = await scene.another();
    try {
      keepsEqual(promises.paired, await expectOk(other.store.pairing.get()), undefined);
    } finally {
      await other[Symbol.asyncDispose]();
    }
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('syncs while a snapshot is being made, and twice at once', async (scene) => {
    await expectOk(scene.store.sync(), promises.synced);
    await using active = await scene.prepare(key(1));
    await within(active.volumes, writeA);
    const syncs = [scene.store.sync(), scene.store.sync()];
    await expectOk(active.commit());
    for (const sync of syncs) await expectOk(sync, promises.synced);
    await expectOk(scene.store.sync(), promises.synced);
    keepsEqual(promises.synced, await scene.list(), [key(1)]);
    keepsEqual(promises.synced, await scene.look(key(1), namesIn), ['a']);
  });
}

function endingTests(test: StoreTest): void {
  test('throws away what is disposed without a commit, and the key can be used again', async (scene) => {
    const active = await scene.prepare(key(1));
    const path = await within(active.volumes, (at) => writeA(at).then(() => at));
    await dispose(active);
    keepsEqual(promises.dropped, await scene.lookup(key(1)), undefined);
    keeps(promises.dropped, !(await exists(join(path, 'a'))), `${path}/a is there`);
    await scene.save(key(1), writeB);
    keepsEqual(promises.keyAgain, await scene.look(key(1), namesIn), ['b']);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('keeps a committed snapshot when its active one is disposed, also twice', async (scene) => {
    const active = await scene.prepare(key(1));
    await within(active.volumes, writeA);
    await expectOk(active.commit());
    await dispose(active);
    await dispose(active);
    keepsEqual(promises.disposedLate, await scene.list(), [key(1)]);
    keepsEqual(promises.disposedLate, await scene.look(key(1), namesIn), ['a']);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('drops an active snapshot twice without harm, also when its key was saved since', async (scene) => {
    const active = await scene.prepare(key(1));
    await dispose(active);
    await scene.save(key(1), writeA);
    await dispose(active);
    keepsEqual(promises.disposeQuiet, await scene.list(), [key(1)]);
    keepsEqual(promises.disposeQuiet, await scene.look(key(1), namesIn), ['a']);
  });
  test('throws when a snapshot is committed twice', async (scene) => {
    await using active = await scene.prepare(key(1));
    await expectOk(active.commit());
    let thrown = false;
    try {
      await active.commit();
    } catch {
      thrown = true;
    }
    keeps(promises.commitTwice, thrown, 'it was committed twice');
  });
  test('removes a snapshot, and what is not there as well', async (scene) => {
    await scene.save(key(1), writeA);
    await scene.save(key(2), writeA, key(1));
    await expectOk(scene.store.remove(key(2)));
    keepsEqual(promises.removed, await scene.lookup(key(2)), undefined);
    keepsEqual(promises.removed, await scene.list(), [key(1)]);
    await expectOk(scene.store.remove(key(2)), promises.removeMissing);
    await expectOk(scene.store.remove(key(3)), promises.removeMissing);
    await expectOk(scene.store.reclaimed(), promises.reclaimed);
    await scene.save(key(2), writeB, key(1));
    keepsEqual(promises.keyAgain, await scene.look(key(2), namesIn), ['a', 'b']);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('leaves every other snapshot whole when one is removed', async (scene) => {
    await scene.save(key(1), writeA);
    for (const at of [key(2), key(3)]) await scene.save(at, writeB, key(1));
    const before = await scene.tree(key(2));
    await expectOk(scene.store.remove(key(3)));
    await expectOk(scene.store.reclaimed());
    keepsEqual(promises.removeOthers, await scene.list(), [key(1), key(2)]);
    keepsEqual(promises.removeOthers, await scene.tree(key(2)), before);
    keepsEqual(promises.removeOthers, await scene.look(key(1), namesIn), ['a']);
    await scene.save(key(4), async () => {}, key(2));
    keepsEqual(promises.removeOthers, await scene.tree(key(4)), before);
  });
}

function restartTests(test: StoreTest): void {
  test('keeps what was saved when it is opened again', async (scene) => {
    await scene.save(key(1), writeA);
    await scene.save(key(2), writeB, key(1));
    await scene.save(key(3), writeB, key(1));
    await expectOk(scene.store.remove(key(3)));
    const before = await Promise.all([key(1), key(2)].map((at) => scene.tree(at)));
    await scene.reopen();
    keepsEqual(promises.reopened, await scene.list(), [key(1), key(2)]);
    keepsEqual(promises.reopened, await Promise.all([key(1), key(2)].map((at) => scene.tree(at))), before);
    await scene.save(key(4), async () => {}, key(2));
    keepsEqual(promises.reopened, await scene.tree(key(4)), before[1]);
  });
  test('wipes what was active when it is opened again', async (scene) => {
    const active = await scene.prepare(key(1));
    const path = await within(active.volumes, (at) => writeA(at).then(() => at));
    await scene.reopen();
    keepsEqual(promises.wiped, await scene.lookup(key(1)), undefined);
    keepsEqual(promises.wiped, await scene.list(), []);
    keeps(promises.wiped, !(await exists(join(path, 'a'))), `${path}/a is there`);
    keepsEqual(promises.wiped, await scene.leftovers(), []);
    await scene.save(key(1), async () => {});
    keepsEqual(promises.keyAgain, await scene.look(key(1), namesIn), []);
    // As the process that opened the store again after a crash would never do.
    await dispose(active);
    keepsEqual(promises.disposeQuiet, await scene.list(), [key(1)]);
  });
  test('is `busy`, with the pid of the owner, when it is opened a second time (X7, P17)', async (scene) => {
    const second = await scene.place.openSecond?.();
    if (second === undefined) return;
    if (second.isOk()) await dispose(second.value);
    keeps(promises.oneOwner, second.isErr(), 'it was opened twice');
    const isBusy =
      second.error.type === 'busy' && new RegExp(`\\b${process.pid}\\b`).test(second.error.message);
    keeps(promises.oneOwner, isBusy, `${inspect(second.error)} in process ${process.pid}`);
    await scene.save(key(1), writeA);
    keepsEqual(promises.oneOwner, await scene.list(), [key(1)]);
  });
  test('is disposed twice without harm', async (scene) => {
    await scene.save(key(1), writeA);
    await dispose(scene.store);
    await scene.reopen();
    keepsEqual(promises.reopened, await scene.list(), [key(1)]);
  });
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/** The names of the files in a volume. */
export async function namesIn(path: string): Promise<readonly string[]> {
  const tree = await describeTree(path);
  return tree.slice(1).map((line) => JSON.parse(/^"(?:[^"\\]|\\.)*"/.exec(line)?.[0] ?? '""'));
}

export function writeA(path: string): Promise<void> {
  return writeFile(join(path, 'a'), 'a');
}

export function writeB(path: string): Promise<void> {
  return writeFile(join(path, 'b'), 'b');
}
