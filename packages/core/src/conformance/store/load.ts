import { mkdirSync, writeFileSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { StepKey } from '../../backend/names.ts';
import { keepsEqual } from '../promise.ts';
import { manyTests } from './many.ts';
import { storePromises as promises, type StorePromise } from './promises.ts';
import { dispose, expectOk, key, type Scene, type StoreTest, within } from './scene.ts';

/** Many at once, and many after each other. What is slow on real disks gets shorter with `scale`. */
export function loadTests(test: StoreTest): void {
  test('prepares and commits 50 children of one parent at once', async (scene) => {
    await scene.save(key(0), (path) => writeFile(join(path, 'parent'), ''));
    const keys = keysTo(scene.scaled(50, 5));
    const promise = promises.atOnce;
    await Promise.all(keys.map((at) => saveChild(scene, { at, parent: key(0), file: 'own', promise })));
    keepsEqual(promises.atOnce, await scene.list(), [key(0), ...keys]);
    for (const at of keys) {
      const text = await scene.look(at, (path) => readFile(join(path, 'own'), 'utf8').catch(String));
      keepsEqual(promises.atOnce, text, at);
    }
    await Promise.all(keys.map((at) => expectOk(scene.store.remove(at))));
    keepsEqual(promises.atOnce, await scene.list(), [key(0)]);
  });
  test('holds 50 active snapshots at once, and drops them at once', async (scene) => {
    const keys = keysTo(scene.scaled(50, 5));
    const actives = await Promise.all(keys.map((at) => scene.prepare(at)));
    const paths = await Promise.all(actives.map((active) => within(active.volumes, async (path) => path)));
    keepsEqual(promises.atOnce, new Set(paths).size, keys.length);
    await Promise.all(actives.map(dispose));
    keepsEqual(promises.dropped, await scene.list(), []);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('prepares, commits, drops and removes at once', async (scene) => {
    await scene.save(key(0), async () => {});
    const keys = keysTo(scene.scaled(24, 6));
    await Promise.all(keys.map((at) => scene.save(at, async () => {}, key(0))));
    const others = keys.map((_, number) => key(number + 1000));
    await Promise.all([
      ...keys.map((at) => expectOk(scene.store.remove(at))),
      ...others.map(async (at, number) => {
        if (number % 2 === 0) await scene.save(at, async () => {}, key(0));
        else await dispose(await scene.prepare(at, { snapshot: key(0) }));
      }),
    ]);
    const kept = others.filter((_, number) => number % 2 === 0);
    keepsEqual(promises.atOnce, await scene.list(), [key(0), ...kept]);
  });
  test('keeps 10,000 entries, in ten directories and in one', async (scene) => {
    const perDirectory = scene.scaled(500, 100);
    await scene.save(key(1), async (path) => {
      for (let dir = 0; dir < 10; dir += 1) fill(join(path, `${dir}`), perDirectory);
      fill(join(path, 'one'), perDirectory * 10);
    });
    await scene.save(key(2), async () => {}, key(1));
    const names = await scene.look(key(2), (path) => readdir(path, { recursive: true }));
    keepsEqual(promises.manyEntries, names.length, 11 + perDirectory * 20);
  });
  manyTests(test);
  test('keeps a chain of 150 snapshots, and loses it from the end (V2, X4, Z4, Z5)', async (scene) => {
    const length = scene.scaled(150, 10);
    await scene.save(key(0), async () => {});
    const promise = promises.chains;
    for (let number = 1; number <= length; number += 1) {
      await saveChild(scene, { at: key(number), parent: key(number - 1), file: `${number}`, promise });
    }
    keepsEqual(promises.listed, (await scene.list()).length, length + 1);
    const middle = Math.floor(length / 2);
    keepsEqual(promises.chains, (await scene.look(key(length), (path) => readdir(path))).length, length);
    keepsEqual(promises.chains, (await scene.look(key(middle), (path) => readdir(path))).length, middle);
    for (let number = length; number >= 0; number -= 1) {
      await expectOk(scene.store.remove(key(number)), promises.chains);
    }
    keepsEqual(promises.chains, await scene.list(), []);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
}

/** Saves a child that has a file of its own. */
async function saveChild(
  scene: Scene,
  options: {
    readonly at: StepKey;
    readonly parent: StepKey;
    readonly file: string;
    readonly promise: StorePromise;
  },
): Promise<void> {
  const { at, parent, file, promise } = options;
  const signal = new AbortController().signal;
  const prepared = scene.store.prepare({ key: at, from: { snapshot: parent }, signal });
  await using active = await expectOk(prepared, promise);
  await within(active.volumes, (path) => writeFile(join(path, file), at));
  await expectOk(active.commit(), promise);
}

function keysTo(count: number): readonly StepKey[] {
  return Array.from({ length: count }, (_, number) => key(number + 1));
}

function fill(directory: string, count: number): void {
  mkdirSync(directory);
  for (let file = 0; file < count; file += 1) writeFileSync(join(directory, `${file}`), '');
}
