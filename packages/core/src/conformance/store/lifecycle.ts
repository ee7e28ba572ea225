import assert from 'node:assert/strict';
import { stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toVolumeName } from '../../backend/names.ts';
import { expectOk, key, mounted, rootfs, type Scene, type StoreTest, within } from './scene.ts';

/** When a snapshot is there, and when it is not. */
export function lifecycleTests(test: StoreTest): void {
  savingTests(test);
  endingTests(test);
  restartTests(test);
}

function savingTests(test: StoreTest): void {
  test('knows nothing at first', async (scene) => {
    assert.equal(await expectOk(scene.store.lookup(key(1))), undefined);
    assert.deepEqual(await scene.list(), []);
    assert.deepEqual(await expectOk(scene.store.caches.list()), []);
  });
  test('shows a snapshot only once it is committed', async (scene) => {
    await using active = await scene.prepare(key(1));
    await within(active.volumes, writeA);
    assert.equal(await expectOk(scene.store.lookup(key(1))), undefined);
    assert.deepEqual(await scene.list(), []);
    const saved = await expectOk(active.commit());
    assert.equal(saved.key, key(1));
    assert.deepEqual(await scene.list(), [key(1)]);
    assert.deepEqual([...saved.volumes.keys()], [rootfs]);
  });
  test('saves every volume, and nothing of a volume that was not asked for', async (scene) => {
    const names = [toVolumeName('brew'), toVolumeName('home')];
    await using active = await scene.prepare(key(1), { empty: names });
    for (const [name, volume] of active.volumes) {
      await mounted(volume, (path) => writeFile(join(path, 'name'), name));
    }
    await expectOk(active.commit());
    await using child = await scene.prepare(key(2), { snapshot: key(1) });
    assert.deepEqual([...child.volumes.keys()].sort(), names);
    for (const volume of child.volumes.values()) {
      await mounted(volume, async (path) => assert.ok((await stat(join(path, 'name'))).isFile()));
    }
  });
  test('gives a fresh volume that is empty, with mode 0755', async (scene) => {
    await using active = await scene.prepare(key(1));
    await within(active.volumes, async (path) => assert.equal((await stat(path)).mode & 0o7777, 0o755));
    await expectOk(active.commit());
    assert.equal((await scene.tree(key(1))).length, 1);
  });
  test('answers `not-found` with the key where the parent is not saved', async (scene) => {
    const signal = new AbortController().signal;
    const prepared = await scene.store.prepare({ key: key(2), from: { snapshot: key(1) }, signal });
    assert.ok(prepared.isErr() && prepared.error.type === 'not-found' && prepared.error.key === key(1));
    assert.deepEqual(await scene.list(), []);
  });
}

function endingTests(test: StoreTest): void {
  test('throws away what is disposed without a commit, and the key can be used again', async (scene) => {
    {
      await using active = await scene.prepare(key(1));
      await within(active.volumes, writeA);
    }
    assert.equal(await expectOk(scene.store.lookup(key(1))), undefined);
    await scene.save(key(1), (path) => writeFile(join(path, 'b'), 'b'));
    await scene.look(key(1), (path) => assert.rejects(stat(join(path, 'a')), { code: 'ENOENT' }));
  });
  test('keeps a committed snapshot when its active one is disposed, also twice', async (scene) => {
    const active = await scene.prepare(key(1));
    await expectOk(active.commit());
    await active[Symbol.asyncDispose]();
    await active[Symbol.asyncDispose]();
    assert.deepEqual(await scene.list(), [key(1)]);
  });
  test('throws when a snapshot is committed twice', async (scene) => {
    await using active = await scene.prepare(key(1));
    await expectOk(active.commit());
    await assert.rejects(async () => active.commit());
  });
  test('leaves nothing of a prepare that was aborted, at any moment', async (scene) => {
    await scene.save(key(1), writeA);
    for (let delay = 0; delay < 8; delay += 1) await abortedPrepare(scene, delay);
    assert.deepEqual(await scene.list(), [key(1)]);
    await scene.save(key(2), writeA, key(1));
  });
  test('removes a snapshot, and what is not there as well', async (scene) => {
    await scene.save(key(1), writeA);
    await scene.save(key(2), writeA, key(1));
    await expectOk(scene.store.remove(key(2)));
    await expectOk(scene.store.remove(key(2)));
    assert.equal(await expectOk(scene.store.lookup(key(2))), undefined);
    assert.deepEqual(await scene.list(), [key(1)]);
    await expectOk(scene.store.reclaimed());
    await scene.save(key(2), writeA, key(1));
  });
}

function restartTests(test: StoreTest): void {
  test('keeps what was saved when it is opened again', async (scene) => {
    await scene.save(key(1), writeA);
    const before = await scene.tree(key(1));
    await scene.reopen();
    assert.deepEqual(await scene.list(), [key(1)]);
    assert.deepEqual(await scene.tree(key(1)), before);
  });
  test('wipes what was active when it is opened again (X1)', async (scene) => {
    const active = await scene.prepare(key(1));
    const path = await within(active.volumes, (at) => writeA(at).then(() => at));
    await scene.reopen();
    assert.equal(await expectOk(scene.store.lookup(key(1))), undefined);
    await assert.rejects(stat(join(path, 'a')), { code: 'ENOENT' });
    await scene.save(key(1), async () => {});
    assert.equal((await scene.tree(key(1))).length, 1);
  });
  test('is `busy`, with the pid of the owner, when it is opened a second time (X7, P17)', async (scene) => {
    const second = await scene.place.openSecond?.();
    if (second === undefined) return;
    assert.ok(second.isErr() && second.error.type === 'busy', 'it was opened twice');
    assert.match(second.error.message, new RegExp(`\\b${process.pid}\\b`));
    await scene.save(key(1), writeA);
  });
}

async function abortedPrepare(scene: Scene, delay: number): Promise<void> {
  const controller = new AbortController();
  const reason = new Error('enough');
  const from = { snapshot: key(1) } as const;
  const pending = scene.store.prepare({ key: key(2), from, signal: controller.signal });
  const timer = setTimeout(() => controller.abort(reason), delay);
  const prepared = await pending;
  clearTimeout(timer);
  if (prepared.isOk()) return prepared.value[Symbol.asyncDispose]();
  assert.deepEqual(prepared.error, { type: 'cancelled', reason });
}

function writeA(path: string): Promise<void> {
  return writeFile(join(path, 'a'), 'a');
}
