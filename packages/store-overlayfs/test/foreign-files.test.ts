import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import {
  cache,
  cacheFiles,
  key,
  layersOf,
  look,
  openIn,
  publish,
  recordOf,
  save,
  touch,
} from './support/steps.ts';

needs('root')('what somebody put into the directory of the overlayfs store', () => {
  it('among the layers is no layer, and what is saved next has a name of its own', async () => {
    await using disk = await tempDir();
    {
      await using store = await openIn(disk);
      await save(store, 0, (at) => touch(at, 0));
      for (const name of ['_x', 'A', '-1', '01', 'zzzzzzzzzzzzzz', 'lost+found']) {
        await mkdir(join(disk.path, 'store/layers', name, 'v'), { recursive: true });
        await touch(join(disk.path, 'store/layers', name, 'v'), 9);
      }
      await writeFile(join(disk.path, 'store/layers/f'), '');
      await touch(join(disk.path, 'store/layers/0'), 9);
    }
    await using store = await openIn(disk);
    for (const number of [1, 2]) await save(store, number, (at) => touch(at, number));
    expect(await recordOf(disk, 2)).toEqual(['3', '2', '1']);
    expect((await layersOf(disk)).sort()).toEqual(['0', '1', '2', '3']);
    expect(await look(store, 2, (at) => readdir(at))).toEqual(['0', '1', '2']);
  });

  it('among the records is no record, and keeps nobody from opening the store', async () => {
    await using disk = await tempDir();
    {
      await using store = await openIn(disk);
      await save(store, 0, (at) => touch(at, 0));
      await publish(store, (at) => touch(at, 0));
    }
    for (const directory of ['snapshots', 'caches']) {
      const at = (name: string) => join(disk.path, 'store', directory, name);
      await mkdir(at('directory/x'), { recursive: true });
      await mkdir(at(key(5)));
      await symlink('/nowhere', at(key(6)));
      const texts = [
        '',
        '{',
        'null',
        '5',
        '"text"',
        '[]',
        '{}',
        '{"rootfs":"1"}',
        '{"rootfs":[null]}',
        '{"Root FS":["1"]}',
      ];
      for (const [i, text] of texts.entries()) await writeFile(at(key(10 + i)), text);
    }
    await using store = await openIn(disk);
    expect(expectOk(await store.list())).toEqual([key(0)]);
    expect(expectOk(await store.caches.list())).toEqual([cache]);
    expect(await readdir(join(disk.path, 'store/snapshots'))).toEqual([key(0)]);
    await save(store, 1, (at) => touch(at, 1));
  });

  it.each<readonly [what: string, damage: (path: string) => Promise<unknown>]>([
    ['deleted', (path) => rm(path)],
    ['a directory with files', (path) => rm(path).then(() => mkdir(join(path, 'x'), { recursive: true }))],
  ])(
    'is no obstacle where a record is %s: the step and the cache can be removed, and made anew',
    async (_, damage) => {
      await using disk = await tempDir();
      await using store = await openIn(disk);
      const record = join(disk.path, 'store/snapshots', key(0));
      for (const again of [false, true]) {
        await save(store, 0, (at) => touch(at, 0));
        if (!again) await damage(record);
        expectOk(await store.remove(key(0)));
        expect(await readdir(join(disk.path, 'store/snapshots'))).toEqual([]);
      }
      await mkdir(record);
      await save(store, 0, (at) => touch(at, 0));
      await publish(store, (at) => touch(at, 0));
      const [name = ''] = await readdir(join(disk.path, 'store/caches'));
      await damage(join(disk.path, 'store/caches', name));
      await publish(store, (at) => touch(at, 1));
      expect(await cacheFiles(store)).toEqual(['0', '1']);
      await damage(join(disk.path, 'store/caches', name));
      expectOk(await store.caches.remove(cache));
      expect(expectOk(await store.caches.list())).toEqual([]);
    },
  );
});

needs('root')('layers that somebody takes away while the store is open', () => {
  it.each(['all', 'the newest'])(
    'leave no snapshot that needs them, and it is made again: %s',
    async (what) => {
      await using disk = await tempDir();
      await using store = await openIn(disk);
      await save(store, 0, (at) => touch(at, 0));
      await save(store, 1, (at) => touch(at, 1));
      const gone = what === 'all' ? await layersOf(disk) : [(await recordOf(disk, 1))[0] ?? ''];
      for (const id of gone) await rm(join(disk.path, 'store/layers', id), { recursive: true });
      expect(expectOk(await store.lookup(key(1)))).toBeUndefined();
      const { signal } = new AbortController();
      const prepared = await store.prepare({ key: key(2), from: { snapshot: key(1) }, signal });
      expect(expectErr(prepared)).toMatchObject({ type: 'not-found', key: key(1) });
      await save(store, 0, (at) => touch(at, 0));
      await save(store, 1, (at) => touch(at, 1));
      expect(await look(store, 1, (at) => readdir(at))).toEqual(['0', '1']);
    },
  );
});
