import assert from 'node:assert/strict';
import { appendFile, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId } from '../../backend/names.ts';
import type { CacheCopy } from '../../backend/store.ts';
import { expectOk, mounted, type Scene, type StoreTest } from './scene.ts';

const apt = toCacheId('apt');

/** Copies of a cache know nothing of each other. */
export function cacheIsolationTests(test: StoreTest): void {
  test('gives each user a copy of its own', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'first'));
    await using one = await scene.checkOut(apt);
    await using other = await scene.checkOut(apt);
    await write(one, ' one');
    assert.equal(await read(other), 'first');
    assert.equal(await newest(scene), 'first');
  });
  test('keeps the newest version when a copy is disposed without being published', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'first'));
    {
      await using copy = await scene.checkOut(apt);
      await write(copy, ' lost');
    }
    assert.equal(await newest(scene), 'first');
  });
  test('leaves copies alone that were taken before another was published', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'first'));
    await using before = await scene.checkOut(apt);
    await scene.publish(apt, (path) => appendFile(join(path, 'file'), ' second'));
    assert.equal(await read(before), 'first');
    await write(before, ' third');
    assert.equal(await newest(scene), 'first second');
    await expectOk(before.publish());
    assert.equal(await newest(scene), 'first third');
  });
  test('publishes a copy for good: disposing it afterwards does nothing', async (scene) => {
    const copy = await scene.checkOut(apt);
    await mounted(copy.volume, (path) => writeFile(join(path, 'file'), 'kept'));
    await expectOk(copy.publish());
    await copy[Symbol.asyncDispose]();
    await copy[Symbol.asyncDispose]();
    assert.equal(await newest(scene), 'kept');
  });
  test('removes a cache, and what is not there as well, while copies are out', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'first'));
    await using copy = await scene.checkOut(apt);
    await expectOk(scene.store.caches.remove(apt));
    await expectOk(scene.store.caches.remove(apt));
    assert.deepEqual(await expectOk(scene.store.caches.list()), []);
    assert.equal(await read(copy), 'first');
    await expectOk(copy.publish());
    assert.equal(await newest(scene), 'first');
  });
  test('keeps caches of several names apart when they are used at once', async (scene) => {
    const ids = Array.from({ length: 8 }, (_, number) => toCacheId(`cache ${number}`));
    await Promise.all(ids.map((id) => scene.publish(id, (path) => writeFile(join(path, 'file'), id))));
    for (const id of ids) {
      await using copy = await scene.checkOut(id);
      assert.equal(await read(copy), id);
    }
  });
}

async function newest(scene: Scene): Promise<string> {
  await using copy = await scene.checkOut(apt);
  return await read(copy);
}

function read(copy: CacheCopy): Promise<string> {
  return mounted(copy.volume, (path) => readFile(join(path, 'file'), 'utf8'));
}

function write(copy: CacheCopy, text: string): Promise<void> {
  return mounted(copy.volume, (path) => appendFile(join(path, 'file'), text));
}
