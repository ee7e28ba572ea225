import { mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryStore } from '@snapstep/core/testing';
import { expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type PlacementOptions, toHostPath, type Volume } from '../../src/index.ts';
import { inRootfs, key, lookAt, prepare, rootfs, writeFiles } from './store-scene.ts';

describe('placement of the memory store', () => {
  it('puts a volume at a path, and takes it away again', async () => {
    await using scene = await openScene();
    {
      await using placed = expectOk(await scene.mountAt('home'));
      await writeFile(join(placed.path, 'file'), 'by path');
      expect(placed.path).toBe(join(scene.directory, 'home'));
      expect(scene.store.mounted).toBe(1);
    }
    expect(scene.store.mounted).toBe(0);
    await expect(stat(join(scene.directory, 'home'))).rejects.toMatchObject({ code: 'ENOENT' });
    expectOk(await scene.active.commit());
    const read = (path: string) => readFile(join(path, 'file'), 'utf8');
    expect(await lookAt(scene.store, { at: key(1), look: read })).toBe('by path');
  });
  it('puts back an empty directory that was there, as it was', async () => {
    await using scene = await openScene();
    await mkdir(join(scene.directory, 'home'), { mode: 0o750 });
    const placed = expectOk(await scene.mountAt('home'));
    await placed[Symbol.asyncDispose]();
    await placed[Symbol.asyncDispose]();
    const stats = await stat(join(scene.directory, 'home'));
    expect(stats.isDirectory()).toBe(true);
    expect(stats.mode & 0o7777).toBe(0o750);
  });
  it('hides nothing: files in the way are a failure, and stay', async () => {
    await using scene = await openScene();
    await mkdir(join(scene.directory, 'home'));
    await writeFile(join(scene.directory, 'home/mine'), 'mine');
    expect(expectErr(await scene.mountAt('home'))).toMatchObject({ type: 'failed' });
    expect(await readFile(join(scene.directory, 'home/mine'), 'utf8')).toBe('mine');
    expect(scene.store.mounted).toBe(0);
  });
  it('takes away what is still placed when the store is disposed', async () => {
    await using scene = await openScene();
    const placed = expectOk(await scene.mountAt('home'));
    await scene.store[Symbol.asyncDispose]();
    await expect(stat(join(scene.directory, 'home'))).rejects.toMatchObject({ code: 'ENOENT' });
    await placed[Symbol.asyncDispose]();
  });
  it('refuses a path where a volume is already, and leaves that there', async () => {
    await using scene = await openScene();
    await using first = expectOk(await scene.mountAt('home'));
    await writeFile(join(first.path, 'file'), 'first');
    expectErr(await scene.mountAt('home'));
    expect(await readFile(join(scene.directory, 'home/file'), 'utf8')).toBe('first');
  });
});

needs('root')('read-only placement of the memory store', () => {
  it('is a mount that even root cannot write to, and that goes', async () => {
    await using scene = await openScene();
    await inRootfs(scene.active.volumes, (path) => writeFiles(path, { file: 'text' }));
    {
      await using placed = expectOk(await scene.mountAt('home', { readOnly: true }));
      expect(await readFile(join(placed.path, 'file'), 'utf8')).toBe('text');
      await expect(writeFile(join(placed.path, 'file'), '')).rejects.toMatchObject({ code: 'EROFS' });
    }
    await expect(stat(join(scene.directory, 'home'))).rejects.toMatchObject({ code: 'ENOENT' });
    expect(scene.store.mounted).toBe(0);
  });
});

async function openScene() {
  const dir = await tempDir();
  const store = await memoryStore();
  const active = await prepare(store, { at: key(1) });
  const volume = active.volumes.get(rootfs) as Volume;
  return {
    store,
    active,
    directory: dir.path,
    mountAt: (name: string, options: PlacementOptions = {}) =>
      store.placement.mountAt(volume, toHostPath(join(dir.path, name)), options),
    async [Symbol.asyncDispose]() {
      await active[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
