import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, key, type StoreTest, within } from './scene.ts';

/** Many at once, and many after each other. */
export function loadTests(test: StoreTest): void {
  test('prepares and commits 20 children of one parent at once', async (scene) => {
    await scene.save(key(0), (path) => writeFile(join(path, 'parent'), ''));
    const keys = Array.from({ length: 20 }, (_, number) => key(number + 1));
    const save = (at: (typeof keys)[number]) =>
      scene.save(at, (path) => writeFile(join(path, 'own'), at), key(0));
    await Promise.all(keys.map(save));
    assert.deepEqual(await scene.list(), [key(0), ...keys]);
    for (const at of keys) {
      assert.equal(await scene.look(at, (path) => readFile(join(path, 'own'), 'utf8')), at);
    }
  });
  test('holds 20 active snapshots at once, and drops them at once', async (scene) => {
    const keys = Array.from({ length: 20 }, (_, number) => key(number + 1));
    const actives = await Promise.all(keys.map((at) => scene.prepare(at)));
    const paths = await Promise.all(actives.map((active) => within(active.volumes, async (path) => path)));
    assert.equal(new Set(paths).size, keys.length);
    await Promise.all(actives.map((active) => active[Symbol.asyncDispose]()));
    assert.deepEqual(await scene.list(), []);
  });
  test('keeps 10,000 entries', async (scene) => {
    await scene.save(key(1), async (path) => {
      for (let dir = 0; dir < 10; dir += 1) {
        mkdirSync(join(path, `${dir}`));
        for (let file = 0; file < 1000; file += 1) writeFileSync(join(path, `${dir}/${file}`), '');
      }
    });
    await scene.save(key(2), async () => {}, key(1));
    const names = await scene.look(key(2), (path) => readdir(path, { recursive: true }));
    assert.equal(names.length, 10_010);
  });
  test('keeps a chain of 60 snapshots (X4, V2), and loses it from the end', async (scene) => {
    const length = 60;
    await scene.save(key(0), async () => {});
    for (let number = 1; number <= length; number += 1) {
      await scene.save(key(number), (path) => writeFile(join(path, `${number}`), ''), key(number - 1));
    }
    assert.equal((await scene.look(key(length), (path) => readdir(path))).length, length);
    assert.equal((await scene.look(key(length / 2), (path) => readdir(path))).length, length / 2);
    for (let number = length; number >= 0; number -= 1) await expectOk(scene.store.remove(key(number)));
    assert.deepEqual(await scene.list(), []);
  });
}
