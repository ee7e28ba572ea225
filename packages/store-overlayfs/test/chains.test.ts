import { appendFile, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, needs, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import {
  all,
  key,
  layersOf,
  look,
  makeDeepSnapshot,
  openIn,
  recordOf,
  save,
  touch,
} from './support/steps.ts';

needs('root')('chains of the overlayfs store', () => {
  it('reaches 150 steps (X4)', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    for (let number = 0; number < 150; number += 1) await save(store, number, (at) => touch(at, number));
    expect((await look(store, 149, (at) => readdir(at))).length).toBe(150);
    expect((await layersOf(disk)).length).toBe(151);
  });
  it('mounts 400 layers as one (V2), and copies them into one for the next step', async () => {
    await using disk = await tempDir();
    await (await openIn(disk))[Symbol.asyncDispose]();
    await makeDeepSnapshot(disk, 400);
    await using store = await openIn(disk, { maxLayers: 400 });
    expect((await look(store, 0, (at) => readdir(at))).length).toBe(400);
    await save(store, 1, (at) => touch(at, 1));
    expect((await look(store, 1, (at) => readdir(at))).length).toBe(400);
    expect((await recordOf(disk, 1)).length).toBe(2);
  });
  it('has never more layers than allowed', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk, { maxLayers: 5 });
    const depths: number[] = [];
    for (let number = 0; number < 12; number += 1) {
      await save(store, number, (at) => touch(at, number));
      depths.push((await recordOf(disk, number)).length);
    }
    expect(depths).toEqual([1, 2, 3, 4, 5, 2, 3, 4, 5, 2, 3, 4]);
    expect((await look(store, 11, (at) => readdir(at))).length).toBe(12);
  });
  it('adds no layer where a step changed nothing', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    for (let number = 0; number < 5; number += 1) await save(store, number, async () => {});
    expect((await layersOf(disk)).length).toBe(2);
  });
  it('keeps the layer of a removed snapshot while others lie on it, and not longer', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    for (let number = 0; number < 4; number += 1) await save(store, number, (at) => touch(at, number));
    expectOk(await store.remove(key(1)));
    expectOk(await store.remove(key(2)));
    expect(await look(store, 3, (at) => readdir(at))).toEqual(['0', '1', '2', '3']);
    expect((await layersOf(disk)).length).toBe(5);
    expectOk(await store.remove(key(3)));
    expect((await layersOf(disk)).length).toBe(2);
    expectOk(await store.remove(key(0)));
    expect(await layersOf(disk)).toEqual(['0']);
  });
  it('saves a directory that was deleted and made again, or renamed, as the step saw it', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk, { maxLayers: 4 });
    await save(store, 0, async (at) => {
      for (const name of ['again', 'moved']) await mkdir(join(at, name));
      for (const name of ['again/old', 'moved/file']) await writeFile(join(at, name), '');
    });
    await save(store, 1, async (at) => {
      await rm(join(at, 'again'), { recursive: true });
      await mkdir(join(at, 'again'));
      await rename(join(at, 'moved'), join(at, 'target'));
    });
    for (let number = 2; number < 7; number += 1) await save(store, number, (at) => touch(at, number));
    expect(await look(store, 1, all)).toEqual(['again', 'target', 'target/file']);
    const kept = ['2', '3', '4', '5', '6', 'again', 'target', 'target/file'];
    expect(await look(store, 6, all)).toEqual(kept);
  });
  it('separates two names of a file of the parent that is written to, for the step and for its children', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    await save(store, 0, async (at) => {
      await writeFile(join(at, 'one'), 'same');
      await link(join(at, 'one'), join(at, 'two'));
    });
    const read = (at: string) => Promise.all(['one', 'two'].map((name) => readFile(join(at, name), 'utf8')));
    let seen: string[] = [];
    await save(store, 1, async (at) => {
      await appendFile(join(at, 'one'), ' more');
      seen = await read(at);
    });
    expect(seen).toEqual(['same more', 'same']);
    expect(await look(store, 1, read)).toEqual(seen);
  });
  it('lets nobody write to what is saved', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    await save(store, 0, (at) => touch(at, 0));
    await look(store, 0, (at) => expect(touch(at, 1)).rejects.toMatchObject({ code: 'EROFS' }));
  });
});
