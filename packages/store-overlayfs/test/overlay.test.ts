import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFile, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  runCommand,
  type StepKey,
  type Store,
  toCacheId,
  toHostPath,
  toStepKey,
  toVolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import { expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { type OverlayfsStoreOptions, openOverlayfsStore } from '../src/index.ts';
import { mountsIn } from './support/place.ts';

const rootfs = toVolumeName('rootfs');
const cache = toCacheId('apt');
const root = { uid: 0, gid: 0 };

function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

async function openIn(
  disk: { readonly path: string },
  options: Omit<OverlayfsStoreOptions, 'path'> = {},
): Promise<Store> {
  return expectOk(await openOverlayfsStore({ ...options, path: toHostPath(join(disk.path, 'store')) }));
}

async function within<T>(volumes: Volumes | undefined, work: (path: string) => Promise<T>): Promise<T> {
  const volume = volumes?.get(rootfs);
  if (volume === undefined) throw new Error('there is no such snapshot');
  await using mounted = expectOk(await volume.mount());
  return await work(mounted.path);
}

async function save(store: Store, number: number, change: (path: string) => Promise<unknown>): Promise<void> {
  const from = number === 0 ? { empty: [rootfs] } : { snapshot: key(number - 1) };
  const signal = new AbortController().signal;
  await using active = expectOk(await store.prepare({ key: key(number), from, signal }));
  await within(active.volumes, change);
  expectOk(await active.commit());
}

async function look<T>(store: Store, number: number, work: (path: string) => Promise<T>): Promise<T> {
  return within(expectOk(await store.lookup(key(number)))?.volumes, work);
}

async function publish(store: Store, change: (path: string) => Promise<unknown>): Promise<void> {
  await using copy = expectOk(await store.caches.checkOut(cache, root));
  {
    await using mounted = expectOk(await copy.volume.mount());
    await change(mounted.path);
  }
  expectOk(await copy.publish());
}

async function cacheFiles(store: Store): Promise<string[]> {
  await using copy = expectOk(await store.caches.checkOut(cache, root));
  await using mounted = expectOk(await copy.volume.mount());
  return (await readdir(mounted.path, { recursive: true })).sort();
}

const layersOf = (disk: { readonly path: string }) => readdir(join(disk.path, 'store/layers'));

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

needs('root')('mounts of the overlayfs store', () => {
  it('are there while somebody leases them, also twice, and not longer', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    const signal = new AbortController().signal;
    await using active = expectOk(await store.prepare({ key: key(0), from: { empty: [rootfs] }, signal }));
    expect(await mountsIn(disk.path)).toEqual([]);
    const volume = active.volumes.get(rootfs);
    const [one, two] = await Promise.all([volume?.mount(), volume?.mount()]);
    expect((await mountsIn(disk.path)).length).toBe(1);
    const leases = [one, two].map((mounted) => expectOk(mounted ?? expect.fail()));
    await touch(leases[0]?.path ?? '', 1);
    await leases[0]?.[Symbol.asyncDispose]();
    await leases[0]?.[Symbol.asyncDispose]();
    expect(await readdir(leases[1]?.path ?? '')).toEqual(['1']);
    await leases[1]?.[Symbol.asyncDispose]();
    expect(await mountsIn(disk.path)).toEqual([]);
  });
  it('go with an attempt that fails while it holds one, and the key builds again (V1)', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    const signal = new AbortController().signal;
    const active = expectOk(await store.prepare({ key: key(0), from: { empty: [rootfs] }, signal }));
    const leaked = expectOk((await active.volumes.get(rootfs)?.mount()) ?? expect.fail());
    await active[Symbol.asyncDispose]();
    expect(await mountsIn(disk.path)).toEqual([]);
    await save(store, 0, (at) => touch(at, 0));
    await leaked[Symbol.asyncDispose]();
    expect(await look(store, 0, (at) => readdir(at))).toEqual(['0']);
    expect((await layersOf(disk)).length).toBe(2);
  });
  it('go with the attempt when somebody works in them', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    const signal = new AbortController().signal;
    const active = expectOk(await store.prepare({ key: key(0), from: { empty: [rootfs] }, signal }));
    const { path } = expectOk((await active.volumes.get(rootfs)?.mount()) ?? expect.fail());
    await using _ = await processIn('sleep', ['1000'], path);
    await active[Symbol.asyncDispose]();
    expect(await mountsIn(disk.path)).toEqual([]);
    await save(store, 0, (at) => touch(at, 0));
  });
  it('may leak into another mount namespace without harm (V12)', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    const script = 'echo ready; exec sleep 1000';
    let leak: AsyncDisposable | undefined;
    await save(store, 0, async (at) => {
      await touch(at, 0);
      leak = await processIn('unshare', ['--mount', 'sh', '-c', script]);
    });
    await using _ = leak ?? expect.fail();
    await save(store, 1, (at) => touch(at, 1));
    expect(await look(store, 1, (at) => readdir(at))).toEqual(['0', '1']);
    for (const number of [1, 0]) expectOk(await store.remove(key(number)));
    expect(await layersOf(disk)).toEqual(['0']);
  });
});

needs('root')('caches of the overlayfs store', () => {
  it('keep what was deleted deleted, over many releases (V4)', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    await publish(store, async (at) => {
      await mkdir(join(at, 'dir'));
      await writeFile(join(at, 'dir/old'), '');
      await writeFile(join(at, 'gone'), '');
    });
    await publish(store, async (at) => {
      for (const name of ['dir', 'gone']) await rm(join(at, name), { recursive: true });
      await mkdir(join(at, 'dir'));
      await writeFile(join(at, 'dir/new'), '');
    });
    expect(await cacheFiles(store)).toEqual(['dir', 'dir/new']);
    for (let number = 0; number < 20; number += 1) await publish(store, (at) => touch(at, number));
    expect((await cacheFiles(store)).slice(-2)).toEqual(['dir', 'dir/new']);
    expect((await cacheFiles(store)).length).toBe(22);
    expect((await layersOf(disk)).length).toBeLessThanOrEqual(9);
  });
  it('know exactly whether a copy was changed', async () => {
    await using disk = await tempDir();
    await using store = await openIn(disk);
    await publish(store, (at) => touch(at, 1));
    await using copy = expectOk(await store.caches.checkOut(cache, root));
    await using mounted = expectOk(await copy.volume.mount());
    await readFile(join(mounted.path, '1'));
    expect(expectOk(await copy.changed())).toBe(false);
    await appendFile(join(mounted.path, '1'), 'more');
    expect(expectOk(await copy.changed())).toBe(true);
  });
});

needs('root')('opening the overlayfs store', () => {
  it('says what is wrong where the disk is an overlay itself (V3)', async () => {
    await using disk = await tempDir();
    for (const name of ['l', 'u', 'w', 'm']) await mkdir(join(disk.path, name));
    const options = 'lowerdir=l,upperdir=u,workdir=w';
    expectOk(await runCommand('mount', ['-t', 'overlay', '-o', options, 'overlay', 'm'], { cwd: disk.path }));
    try {
      const error = expectErr(await openOverlayfsStore({ path: toHostPath(join(disk.path, 'm/store')) }));
      expect(error).toMatchObject({
        type: 'failed',
        message: expect.stringContaining('is often an overlay itself'),
      });
      expect(await mountsIn(disk.path)).toEqual([join(disk.path, 'm')]);
    } finally {
      expectOk(await runCommand('umount', [join(disk.path, 'm')]));
    }
  });
  it('forgets a record that was cut short, or that names a layer which is gone', async () => {
    await using disk = await tempDir();
    {
      await using store = await openIn(disk);
      for (let number = 0; number < 3; number += 1) await save(store, number, (at) => touch(at, number));
    }
    const path = join(disk.path, 'store');
    await writeFile(join(path, 'snapshots', key(1)), '{"roo');
    const [top = ''] = await recordOf(disk, 2);
    await rm(join(path, 'layers', top), { recursive: true });
    await using store = await openIn(disk);
    expect(expectOk(await store.list())).toEqual([key(0)]);
    expect((await layersOf(disk)).length).toBe(2);
  });
  it('refuses a number of layers that the kernel would refuse later', async () => {
    await using disk = await tempDir();
    await expect(openIn(disk, { maxLayers: 501 })).rejects.toThrow(RangeError);
  });
});

async function recordOf(disk: { readonly path: string }, number: number): Promise<string[]> {
  const record = await readFile(join(disk.path, 'store/snapshots', key(number)), 'utf8');
  return JSON.parse(record).rootfs;
}

/** Writes what so many steps would have left, each with a file of its own. */
async function makeDeepSnapshot(disk: { readonly path: string }, depth: number): Promise<void> {
  const ids = Array.from({ length: depth }, (_, number) => (number + 1).toString(36));
  for (const [number, id] of ids.entries()) {
    await mkdir(join(disk.path, 'store/layers', id, 'v'), { recursive: true });
    await touch(join(disk.path, 'store/layers', id, 'v'), number);
  }
  await writeFile(join(disk.path, 'store/snapshots', key(0)), JSON.stringify({ rootfs: ids.reverse() }));
}

function touch(path: string, number: number): Promise<void> {
  return writeFile(join(path, `${number}`), '');
}

async function all(path: string): Promise<string[]> {
  return (await readdir(path, { recursive: true })).sort();
}

/** A process that has started, or, of a script, has printed its first line. */
async function processIn(file: string, args: readonly string[], cwd?: string): Promise<AsyncDisposable> {
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'], ...(cwd ? { cwd } : {}) });
  const exited = once(child, 'exit');
  await (file === 'unshare' ? once(child.stdout, 'data') : once(child, 'spawn'));
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await exited;
    },
  };
}
