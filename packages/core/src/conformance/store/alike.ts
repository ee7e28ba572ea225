import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId, toStepKey } from '../../backend/names.ts';
import { keepsEqual } from '../promise.ts';
import { storePromises as promises } from './promises.ts';
import { expectOk, mounted, type StoreTest } from './scene.ts';

/** Names that begin or end alike: what is cut, or looked for by its beginning, takes one for the other. */
export function alikeTests(test: StoreTest): void {
  test('keeps apart keys that differ in one digit, wherever it is', async (scene) => {
    const keys = [0, 8, 32, 62, 63].map((at) => toStepKey(`${'0'.repeat(at)}a${'0'.repeat(63 - at)}`));
    for (const at of keys) await scene.save(at, (path) => writeFile(join(path, 'key'), at));
    keepsEqual(promises.keysApart, await scene.list(), [...keys].sort());
    const [first, ...others] = keys;
    if (first !== undefined) await expectOk(scene.store.remove(first));
    keepsEqual(promises.keysApart, await scene.list(), [...others].sort());
    for (const at of others) {
      keepsEqual(promises.keysApart, await scene.look(at, (path) => readFile(join(path, 'key'), 'utf8')), at);
    }
  });
  test('removes one cache, and none whose name begins or ends as its does', async (scene) => {
    const ids = ['npm', 'npm2', 'np', 'npm/x', 'npm ', 'xnpm', 'npm%', 'npm*', '*', 'NPM'].map(toCacheId);
    for (const id of ids) await scene.publish(id, (path) => writeFile(join(path, 'id'), id));
    const [gone, ...others] = ids;
    if (gone !== undefined) await expectOk(scene.store.caches.remove(gone));
    await expectOk(scene.store.caches.remove(toCacheId('n')));
    keepsEqual(promises.removeOtherCaches, await scene.listCaches(), [...others].sort());
    for (const id of others) {
      await using copy = await scene.checkOut(id);
      const text = await mounted(copy.volume, (path) => readFile(join(path, 'id'), 'utf8').catch(String));
      keepsEqual(promises.removeOtherCaches, text, id);
    }
  });
}
