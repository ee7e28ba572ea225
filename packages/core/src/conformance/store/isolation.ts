import {
  appendFile,
  chmod,
  chown,
  link,
  mkdir,
  open,
  readFile,
  rename,
  rm,
  truncate,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from './describe-tree.ts';
import { storePromises as promises } from './promises.ts';
import { expectOk, isRoot, key, type StoreTest, settled, within } from './scene.ts';

/** What a step does is seen by its children and by nobody else. */
export function isolationTests(test: StoreTest): void {
  inheritanceTests(test);
  test('does not let siblings see each other', async (scene) => {
    await scene.save(key(1), writeFiles);
    await using one = await scene.prepare(key(2), { snapshot: key(1) });
    await using other = await scene.prepare(key(3), { snapshot: key(1) });
    await within(one.volumes, overwriteInPlace);
    const seen = await within(other.volumes, (path) => textOf(path, 'big'));
    keepsEqual(promises.apart, seen.replaceAll('x', ''), '');
    await expectOk(one.commit());
    await expectOk(other.commit());
    const saved = await scene.look(key(3), (path) => textOf(path, 'big'));
    keepsEqual(promises.apart, saved.replaceAll('x', ''), '');
  });
  test('sees a change that keeps size and time (V6)', async (scene) => {
    const time = new Date('2024-05-06T07:08:09Z');
    const write = (text: string) => async (path: string) => {
      await writeFile(join(path, 'f'), text);
      await utimes(join(path, 'f'), time, time);
    };
    await scene.save(key(1), write('before'));
    await scene.save(key(2), write('after!'), key(1));
    await scene.save(key(3), async () => {}, key(2));
    const read = (path: string) => textOf(path, 'f');
    keepsEqual(promises.immutable, await scene.look(key(1), read), 'before');
    keepsEqual(promises.writtenSaved, await scene.look(key(2), read), 'after!');
    keepsEqual(promises.childWhole, await scene.look(key(3), read), 'after!');
  });
  test('saves what was written through a file that is still open', async (scene) => {
    await using active = await scene.prepare(key(1));
    await within(active.volumes, async (path) => {
      await using file = await open(join(path, 'log'), 'w');
      await file.write('whole');
      await expectOk(active.commit());
    });
    const text = await scene.look(key(1), (path) => textOf(path, 'log'));
    keepsEqual(promises.writtenSaved, text, 'whole');
  });
  test('refuses to write into a saved volume', async (scene) => {
    await scene.save(key(1), writeFiles);
    const before = await scene.tree(key(1));
    const written = await scene.look(key(1), (path) =>
      writeFile(join(path, 'new'), '').then(
        () => 'it was written to',
        (error: NodeJS.ErrnoException) => error.code,
      ),
    );
    keeps(promises.readOnly, written === 'EROFS' || written === 'EACCES' || written === 'EPERM', written);
    keepsEqual(promises.readOnly, await scene.tree(key(1)), before);
  });
}

function inheritanceTests(test: StoreTest): void {
  test('gives a child everything of its parent', async (scene) => {
    await scene.save(key(1), writeFiles);
    await scene.save(key(2), async () => {}, key(1));
    keepsEqual(promises.childWhole, await scene.tree(key(2)), await scene.tree(key(1)));
  });
  test('does not let a child change its parent, in any way', async (scene) => {
    await scene.save(key(1), writeFiles);
    const before = await scene.tree(key(1));
    for (const [number, change] of changes.entries()) {
      await scene.save(key(number + 2), change, key(1));
      keepsEqual(promises.immutable, await scene.tree(key(1)), before);
    }
  });
  test('saves what a child changed, deleted, replaced and renamed, and nothing else', async (scene) => {
    await scene.save(key(1), writeFiles);
    for (const [number, change] of changes.entries()) {
      let seen: readonly string[] = [];
      const changeAndLook = async (path: string) => {
        await change(path);
        seen = await describeTree(path);
      };
      await scene.save(key(number + 2), changeAndLook, key(1));
      keepsEqual(promises.writtenSaved, await scene.tree(key(number + 2)), seen);
    }
  });
  test('does not let a dropped child change its parent', async (scene) => {
    await scene.save(key(1), writeFiles);
    const before = await scene.tree(key(1));
    for (const [number, change] of changes.entries()) {
      await using active = await scene.prepare(key(number + 2), { snapshot: key(1) });
      await within(active.volumes, change);
    }
    keepsEqual(promises.immutable, await scene.tree(key(1)), before);
  });
  test('keeps a child whole whose parent is removed, which it may refuse with `busy`', async (scene) => {
    await scene.save(key(1), writeFiles);
    await scene.save(key(2), (path) => appendFile(join(path, 'small'), 'more'), key(1));
    const before = await scene.tree(key(2));
    const removed = await settled(scene.store.remove(key(1)));
    if (removed.isErr()) keepsEqual(promises.removeOthers, removed.error.type, 'busy');
    await expectOk(scene.store.reclaimed());
    keepsEqual(promises.removeOthers, await scene.tree(key(2)), before);
    await scene.reopen();
    keepsEqual(promises.removeOthers, await scene.tree(key(2)), before);
    keepsEqual(promises.removed, await scene.list(), removed.isOk() ? [key(2)] : [key(1), key(2)]);
  });
}

const changes: readonly ((path: string) => Promise<unknown>)[] = [
  (path) => appendFile(join(path, 'big'), 'more'),
  (path) => truncate(join(path, 'big'), 10),
  (path) => chmod(join(path, 'big'), 0o600),
  (path) => utimes(join(path, 'big'), 1, 1),
  (path) => rm(join(path, 'big')),
  (path) => writeFile(join(path, 'new'), ''),
  (path) => link(join(path, 'small'), join(path, 'again')),
  (path) => chmod(path, 0o700),
  (path) => chmod(join(path, 'dir'), 0o700),
  (path) => rename(join(path, 'dir'), join(path, 'moved')),
  (path) => rm(join(path, 'dir'), { recursive: true }).then(() => mkdir(join(path, 'dir'))),
  (path) => rm(join(path, 'dir'), { recursive: true }).then(() => writeFile(join(path, 'dir'), '')),
  (path) => appendFile(join(path, 'dir/linked'), 'more'),
  (path) => (isRoot ? chown(join(path, 'big'), 7, 8) : Promise.resolve()),
  overwriteInPlace,
];

async function writeFiles(path: string): Promise<void> {
  await writeFile(join(path, 'big'), 'x'.repeat(200_000));
  await writeFile(join(path, 'small'), 'small');
  await mkdir(join(path, 'dir'));
  await link(join(path, 'small'), join(path, 'dir/linked'));
}

async function overwriteInPlace(path: string): Promise<void> {
  await using file = await open(join(path, 'big'), 'r+');
  await file.write('changed', 100_000);
}

function textOf(path: string, name: string): Promise<string> {
  return readFile(join(path, name), 'utf8').catch((error: NodeJS.ErrnoException) => `${error.code}`);
}
