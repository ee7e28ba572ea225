import {
  chmod,
  chown,
  link,
  mkdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { toCacheId } from '../../backend/names.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from './describe-tree.ts';
import { exists } from './lifecycle.ts';
import { storePromises as promises } from './promises.ts';
import { dispose, expectOk, isRoot, key, mounted, type StoreTest, somebody } from './scene.ts';

const apt = toCacheId('apt');

/** What a cache volume holds. */
export function cacheTests(test: StoreTest): void {
  test('gives an empty volume of the given owner where there is none', async (scene) => {
    await using copy = await scene.checkOut(apt);
    await mounted(copy.volume, async (path) => {
      const { uid, gid, mode } = await stat(path);
      const seen = { uid, gid, mode: (mode & 0o7777).toString(8) };
      keepsEqual(promises.freshCache, seen, { ...somebody, mode: '755' });
      keepsEqual(promises.freshCache, (await describeTree(path)).slice(1), []);
    });
    keepsEqual(promises.listedCaches, await scene.listCaches(), []);
  });
  test('gives what was published last, to the last detail', async (scene) => {
    let made: readonly string[] = [];
    await scene.publish(apt, async (path) => {
      await makeDetails(path);
      made = await describeTree(path);
    });
    await using copy = await scene.checkOut(apt);
    keepsEqual(promises.newestCache, await mounted(copy.volume, describeTree), made);
    await expectOk(copy.publish());
    keepsEqual(promises.newestCache, await scene.cacheTree(apt), made);
  });
  replacingTests(test);
  test('keeps apart names that differ in any way, and lists them (C12, C14)', async (scene) => {
    for (const name of strangeIds) {
      await scene.publish(name, (path) => writeFile(join(path, 'name'), name));
    }
    keepsEqual(promises.listedCaches, await scene.listCaches(), [...strangeIds].sort());
    keepsEqual(promises.listed, await scene.list(), []);
    for (const name of strangeIds) {
      await using copy = await scene.checkOut(name);
      const text = await mounted(copy.volume, (path) => readFile(join(path, 'name'), 'utf8').catch(String));
      keepsEqual(promises.cacheNames, text, name);
    }
  });
  test('keeps what was published when it is opened again, and wipes what was not (V7)', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'kept'));
    const before = await scene.cacheTree(apt);
    const copy = await scene.checkOut(apt);
    const lost = await mounted(copy.volume, (path) => writeFile(join(path, 'lost'), '').then(() => path));
    await scene.reopen();
    keepsEqual(promises.reopenedCache, await scene.listCaches(), [apt]);
    keepsEqual(promises.reopenedCache, await scene.cacheTree(apt), before);
    keeps(promises.reopenedCache, !(await exists(join(lost, 'lost'))), `${lost}/lost is there`);
    keepsEqual(promises.wiped, await scene.leftovers(), []);
    await dispose(copy);
  });
}

function replacingTests(test: StoreTest): void {
  test('loses what was deleted, replaced or renamed (V4)', async (scene) => {
    await scene.publish(apt, async (path) => {
      for (const dir of ['again', 'moved', 'file-then']) await mkdir(join(path, dir));
      for (const file of ['gone', 'again/old', 'moved/file', 'file-then/old']) {
        await writeFile(join(path, file), file);
      }
    });
    await using copy = await scene.checkOut(apt);
    const seen = await mounted(copy.volume, async (path) => {
      for (const name of ['gone', 'again', 'file-then']) await rm(join(path, name), { recursive: true });
      await mkdir(join(path, 'again'));
      await writeFile(join(path, 'again/new'), 'new');
      await writeFile(join(path, 'file-then'), 'a file now');
      await rename(join(path, 'moved'), join(path, 'target'));
      return describeTree(path);
    });
    await expectOk(copy.publish());
    keepsEqual(promises.published, await scene.cacheTree(apt), seen);
    await scene.reopen();
    keepsEqual(promises.published, await scene.cacheTree(apt), seen);
  });
  test('says that a copy changed whatever was changed', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'text'));
    for (const change of changes) {
      await using copy = await scene.checkOut(apt);
      await mounted(copy.volume, change);
      keeps(promises.changed, await expectOk(copy.changed()), change.toString());
    }
  });
  test('says that a copy of nothing changed when something was written', async (scene) => {
    await using copy = await scene.checkOut(apt);
    await mounted(copy.volume, (path) => writeFile(join(path, 'file'), 'text'));
    keeps(promises.changed, await expectOk(copy.changed()));
  });
  test('does not say that it is unchanged when it was changed back', async (scene) => {
    await scene.publish(apt, (path) => writeFile(join(path, 'file'), 'text'));
    await using copy = await scene.checkOut(apt);
    await mounted(copy.volume, async (path) => {
      const { atime, mtime } = await stat(join(path, 'file'));
      await writeFile(join(path, 'file'), 'TEXT');
      await utimes(join(path, 'file'), atime, mtime);
    });
    keeps(promises.changed, await expectOk(copy.changed()), 'only the content differs');
  });
}

const changes: readonly ((path: string) => Promise<unknown>)[] = [
  (path) => writeFile(join(path, 'file'), 'TEXT'),
  (path) => writeFile(join(path, 'new'), ''),
  (path) => rm(join(path, 'file')),
  (path) => chmod(join(path, 'file'), 0o600),
  (path) => utimes(join(path, 'file'), 1, 1),
  (path) => link(join(path, 'file'), join(path, 'other')),
  (path) => chmod(path, 0o700),
  (path) => mkdir(join(path, 'dir')),
  (path) => rename(join(path, 'file'), join(path, 'other')),
];

async function makeDetails(path: string): Promise<void> {
  for (const name of ['one', 'others']) await writeFile(join(path, name), name);
  await link(join(path, 'one'), join(path, 'two'));
  await symlink('one', join(path, 'link'));
  await mkdir(join(path, 'empty'));
  await chmod(join(path, 'one'), 0o4751);
  if (isRoot) {
    await chown(join(path, 'others'), 70_000, 70_001);
    await chown(path, 12, 34);
  }
  await utimes(join(path, 'empty'), 1_234_567, 1_234_567.25);
  await chmod(path, 0o2775);
}

const strangeIds = [
  ...['a', 'A', 'a/b', '../a', '../../a', 'a b', 'ä', 'a\u0308', '', '.', '..', '%61', 'c-a', '-a', 'a\n'],
  ...['a\0', "a'", '$(a)', '@a', 'a@b', 'a:b', 'x'.repeat(200), key(1)],
].map(toCacheId);
