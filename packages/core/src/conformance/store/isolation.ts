import assert from 'node:assert/strict';
import { appendFile, chmod, open, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { key, type StoreTest, within } from './scene.ts';

/** What a step does is seen by its children and by nobody else. */
export function isolationTests(test: StoreTest): void {
  test('gives a child everything of its parent', async (scene) => {
    await scene.save(key(1), writeFiles);
    await scene.save(key(2), async () => {}, key(1));
    assert.deepEqual(await scene.tree(key(2)), await scene.tree(key(1)));
  });
  test('does not let a child change its parent, in any way', async (scene) => {
    await scene.save(key(1), writeFiles);
    const before = await scene.tree(key(1));
    for (const [number, change] of changes.entries()) await scene.save(key(number + 2), change, key(1));
    assert.deepEqual(await scene.tree(key(1)), before);
  });
  test('does not let siblings see each other', async (scene) => {
    await scene.save(key(1), writeFiles);
    await using one = await scene.prepare(key(2), { snapshot: key(1) });
    await using other = await scene.prepare(key(3), { snapshot: key(1) });
    await within(one.volumes, (path) => writeFile(join(path, 'big'), 'one'));
    await within(other.volumes, async (path) => {
      assert.equal((await readFile(join(path, 'big'), 'utf8')).length, 200_000);
    });
  });
  test('keeps a child whose parent is removed', async (scene) => {
    await scene.save(key(1), writeFiles);
    await scene.save(key(2), async () => {}, key(1));
    const before = await scene.tree(key(2));
    await scene.store.remove(key(1));
    await scene.store.reclaimed();
    assert.deepEqual(await scene.tree(key(2)), before);
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
    const read = (path: string) => readFile(join(path, 'f'), 'utf8');
    assert.equal(await scene.look(key(1), read), 'before');
    assert.equal(await scene.look(key(2), read), 'after!');
    assert.equal(await scene.look(key(3), read), 'after!');
  });
  test('saves what was written through a file that is still open', async (scene) => {
    await using active = await scene.prepare(key(1));
    await within(active.volumes, async (path) => {
      await using file = await open(join(path, 'log'), 'w');
      await file.write('whole');
      const saved = await active.commit();
      assert.ok(saved.isOk());
    });
    assert.equal(await scene.look(key(1), (path) => readFile(join(path, 'log'), 'utf8')), 'whole');
  });
}

const changes: readonly ((path: string) => Promise<unknown>)[] = [
  (path) => appendFile(join(path, 'big'), 'more'),
  (path) => chmod(join(path, 'big'), 0o600),
  (path) => rm(join(path, 'big')),
  (path) => writeFile(join(path, 'new'), ''),
  (path) => chmod(path, 0o700),
  overwriteInPlace,
];

async function writeFiles(path: string): Promise<void> {
  await writeFile(join(path, 'big'), 'x'.repeat(200_000));
  await writeFile(join(path, 'small'), 'small');
  assert.ok((await stat(path)).isDirectory());
}

async function overwriteInPlace(path: string): Promise<void> {
  await using file = await open(join(path, 'big'), 'r+');
  await file.write('changed', 100_000);
}
