import { appendFile, link, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId } from '../../backend/names.ts';
import type { CacheCopy } from '../../backend/store.ts';
import { keepsEqual } from '../promise.ts';
import { storePromises as promises } from './promises.ts';
import { dispose, expectOk, mounted, type Scene, type StoreTest } from './scene.ts';

const apt = toCacheId('apt');

/** Copies of a cache know nothing of each other. */
export function cacheIsolationTests(test: StoreTest): void {
  privacyTests(test);
  publishTests(test);
  test('removes a cache, and what is not there as well, while copies are out', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'first'));
    await using copy = await scene.checkOut(apt);
    await expectOk(scene.store.caches.remove(apt), promises.removedCache);
    await expectOk(scene.store.caches.remove(apt), promises.removedCache);
    await expectOk(scene.store.caches.remove(toCacheId('never')), promises.removedCache);
    keepsEqual(promises.removedCache, await scene.listCaches(), []);
    keepsEqual(promises.removedCache, await read(copy), 'first');
    keepsEqual(promises.removedCache, await newest(scene), 'ENOENT');
    await write(copy, ' again');
    await expectOk(copy.publish(), promises.removedCache);
    keepsEqual(promises.published, await newest(scene), 'first again');
  });
  test('keeps caches of several names apart when they are used at once', async (scene) => {
    const ids = Array.from({ length: 8 }, (_, number) => toCacheId(`cache ${number}`));
    await Promise.all(ids.map((id) => scene.publish(id, (path) => writeFile(join(path, 'file'), id))));
    for (const id of ids) {
      await using copy = await scene.checkOut(id);
      keepsEqual(promises.atOnce, await read(copy), id);
    }
    await expectOk(scene.store.caches.remove(ids[0] ?? apt));
    keepsEqual(promises.listedCaches, await scene.listCaches(), ids.slice(1));
  });
}

function privacyTests(test: StoreTest): void {
  test('gives each user a copy of its own', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'first'));
    await using one = await scene.checkOut(apt);
    await using other = await scene.checkOut(apt);
    await write(one, ' one');
    keepsEqual(promises.privateCopy, await read(other), 'first');
    keepsEqual(promises.privateCopy, await newest(scene), 'first');
  });
  test('gives copies that share no file, also where two names are one file', async (scene) => {
    await scene.publish(apt, async (path) => {
      await writeFile(join(path, 'file'), 'first');
      await link(join(path, 'file'), join(path, 'again'));
    });
    await using copy = await scene.checkOut(apt);
    await mounted(copy.volume, (path) => appendFile(join(path, 'again'), ' more'));
    keepsEqual(promises.privateCopy, await newest(scene), 'first');
  });
  test('keeps the newest version when a copy is disposed without being published', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'first'));
    const copy = await scene.checkOut(apt);
    await write(copy, ' lost');
    await dispose(copy);
    await dispose(copy);
    keepsEqual(promises.droppedCopy, await newest(scene), 'first');
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
}

function publishTests(test: StoreTest): void {
  test('leaves copies alone that were taken before another was published', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'first'));
    await using before = await scene.checkOut(apt);
    await scene.publish(apt, (path) => appendFile(join(path, 'file'), ' second'));
    keepsEqual(promises.privateCopy, await read(before), 'first');
    await write(before, ' third');
    keepsEqual(promises.privateCopy, await newest(scene), 'first second');
    await expectOk(before.publish());
    keepsEqual(promises.published, await newest(scene), 'first third');
    await dispose(before);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('publishes a later copy whole, with nothing of the one before (V4)', async (scene) => {
    await using one = await scene.checkOut(apt);
    await using other = await scene.checkOut(apt);
    await mounted(one.volume, (path) => writeFile(join(path, 'one'), ''));
    await mounted(other.volume, (path) => writeFile(join(path, 'other'), ''));
    await expectOk(one.publish());
    await expectOk(other.publish());
    const tree = (await scene.cacheTree(apt)).slice(1).map((line) => line.split(' ')[0]);
    keepsEqual(promises.published, tree, ['"other"']);
  });
  test('publishes a copy for good: disposing it afterwards does nothing', async (scene) => {
    const copy = await scene.checkOut(apt);
    await mounted(copy.volume, (path) => writeFile(join(path, 'file'), 'kept'));
    await expectOk(copy.publish());
    await dispose(copy);
    await dispose(copy);
    keepsEqual(promises.droppedCopy, await newest(scene), 'kept');
    keepsEqual(promises.listedCaches, await scene.listCaches(), [apt]);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
}

async function newest(scene: Scene): Promise<string> {
  await using copy = await scene.checkOut(apt);
  return await read(copy);
}

function read(copy: CacheCopy): Promise<string> {
  return mounted(copy.volume, (path) =>
    readFile(join(path, 'file'), 'utf8').catch((error: NodeJS.ErrnoException) => `${error.code}`),
  );
}

function write(copy: CacheCopy, text: string): Promise<void> {
  return mounted(copy.volume, (path) => appendFile(join(path, 'file'), text));
}
