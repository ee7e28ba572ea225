import assert from 'node:assert/strict';
import { chmod, link, mkdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId } from '../../backend/names.ts';
import { describeTree } from './describe-tree.ts';
import { expectOk, mounted, type StoreTest, somebody } from './scene.ts';

const apt = toCacheId('apt');

/** What a cache volume holds. */
export function cacheTests(test: StoreTest): void {
  test('gives an empty volume of the given owner where there is none', async (scene) => {
    await using copy = await scene.checkOut(apt);
    await mounted(copy.volume, async (path) => {
      const { uid, gid, mode } = await stat(path);
      assert.deepEqual({ uid, gid, mode: mode & 0o7777 }, { ...somebody, mode: 0o755 });
      assert.equal((await describeTree(path)).length, 1);
    });
    assert.deepEqual(await expectOk(scene.store.caches.list()), []);
  });
  test('gives what was published last, to the last detail', async (scene) => {
    await scene.publish(apt, async (path) => {
      await writeFile(join(path, 'one'), 'one');
      await link(join(path, 'one'), join(path, 'two'));
      await chmod(path, 0o2775);
    });
    await using copy = await scene.checkOut(apt);
    const before = await mounted(copy.volume, describeTree);
    assert.ok(before.some((line) => line.includes('same file as "one"')));
    await expectOk(copy.publish());
    assert.deepEqual(await scene.cacheTree(apt), before);
  });
  test('loses what was deleted, replaced or renamed (V4)', async (scene) => {
    await scene.publish(apt, async (path) => {
      for (const dir of ['again', 'moved']) await mkdir(join(path, dir));
      for (const file of ['gone', 'again/old', 'moved/file']) await writeFile(join(path, file), file);
    });
    await using copy = await scene.checkOut(apt);
    const seen = await mounted(copy.volume, async (path) => {
      await rm(join(path, 'gone'));
      await rm(join(path, 'again'), { recursive: true });
      await mkdir(join(path, 'again'));
      await writeFile(join(path, 'again/new'), 'new');
      await rename(join(path, 'moved'), join(path, 'target'));
      return describeTree(path);
    });
    await expectOk(copy.publish());
    assert.deepEqual(await scene.cacheTree(apt), seen);
  });
  test('says that a copy changed whatever was changed', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'text'));
    for (const change of changes) {
      await using copy = await scene.checkOut(apt);
      await mounted(copy.volume, change);
      assert.equal(await expectOk(copy.changed()), true, change.toString());
    }
  });
  test('says that a copy of nothing changed when something was written', async (scene) => {
    await using copy = await scene.checkOut(apt);
    await mounted(copy.volume, (path) => writeFile(join(path, 'file'), 'text'));
    assert.equal(await expectOk(copy.changed()), true);
  });
  test('keeps apart names that differ in any way, and lists them', async (scene) => {
    const names = ['a', 'A', 'a/b', '../a', 'a b', 'ä', '', '.', '%61', 'c-a', 'x'.repeat(200)].map(
      toCacheId,
    );
    for (const name of names) await scene.publish(name, (path) => writeFile(join(path, 'name'), name));
    assert.deepEqual([...(await expectOk(scene.store.caches.list()))].sort(), [...names].sort());
    const trees = await Promise.all(names.map((name) => scene.cacheTree(name)));
    assert.equal(new Set(trees.map((tree) => tree.join('\n'))).size, names.length);
  });
  test('keeps what was published when it is opened again, and wipes what was not (V7)', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'kept'));
    const before = await scene.cacheTree(apt);
    const copy = await scene.checkOut(apt);
    const lost = await mounted(copy.volume, (path) => writeFile(join(path, 'lost'), '').then(() => path));
    await scene.reopen();
    assert.deepEqual(await scene.cacheTree(apt), before);
    await assert.rejects(stat(join(lost, 'lost')), { code: 'ENOENT' });
  });
}

const changes: readonly ((path: string) => Promise<unknown>)[] = [
  (path) => writeFile(join(path, 'file'), 'TEXT'),
  (path) => writeFile(join(path, 'new'), ''),
  (path) => rm(join(path, 'file')),
  (path) => chmod(join(path, 'file'), 0o600),
  (path) => chmod(path, 0o700),
  (path) => mkdir(join(path, 'dir')),
  (path) => rename(join(path, 'file'), join(path, 'other')),
];
