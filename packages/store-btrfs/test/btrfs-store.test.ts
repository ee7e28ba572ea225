import { mkdir, mkdtemp, open, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  runCommand,
  type Store,
  toCacheId,
  toHostPath,
  toStepKey,
  toVolumeName,
  type Volume,
} from '@snapstep/core/backend';
import { btrfsVolume, expectErr, expectOk, needs } from '@snapstep/test-support';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type BtrfsStoreOptions, openBtrfsStore } from '../src/index.ts';
import { countedBtrfs } from './support/counted-btrfs.ts';

const rootfs = toVolumeName('rootfs');
const root = { uid: 0, gid: 0 };

needs('root', 'btrfs')('the Btrfs store', () => {
  let disk: Awaited<ReturnType<typeof btrfsVolume>>;
  beforeAll(async () => {
    disk = await btrfsVolume({ sizeMiB: 1024 });
  });
  afterAll(() => disk[Symbol.asyncDispose]());
  const freshPath = async () => toHostPath(await mkdtemp(join(disk.path, 'store-')));
  const fresh = async (options: Partial<BtrfsStoreOptions> = {}) =>
    expectOk(await openBtrfsStore({ path: await freshPath(), ...options }));

  it('runs one process to prepare, one to commit, and none to look up or list', async () => {
    await using store = await fresh();
    await save(store, 1);
    await using counted = await countedBtrfs();
    await save(store, 2, 1);
    expect(expectOk(await store.lookup(key(2)))?.key).toBe(key(2));
    expectOk(await store.list());
    expect(await counted.calls()).toEqual([
      expect.stringMatching(/^-q subvolume snapshot /),
      expect.stringMatching(/^property set /),
    ]);
  });
  it('is rid of read-only subvolumes in one another, which any user can leave in a step', async () => {
    const path = await freshPath();
    {
      await using store = expectOk(await openBtrfsStore({ path }));
      for (const number of [1, 2]) {
        await save(store, number, undefined, async (at) => {
          await runCommand('btrfs', ['subvolume', 'create', join(at, 'outer')]);
          await runCommand('btrfs', ['subvolume', 'create', join(at, 'outer/inner')]);
          for (const name of ['outer/inner', 'outer']) {
            expectOk(await runCommand('btrfs', ['property', 'set', '-ts', join(at, name), 'ro', 'true']));
          }
        });
      }
      expectOk(await store.remove(key(1)));
      expect(expectOk(await store.list())).toEqual([key(2)]);
      expectOk(await store.remove(key(2)));
    }
    await using again = expectOk(await openBtrfsStore({ path }));
    expect(expectOk(await again.list())).toEqual([]);
  });

  it('reclaims: what was deleted is free when it settles (B4)', async () => {
    await using store = await fresh();
    await save(store, 1, undefined, (path) => fill(join(path, 'big'), 200));
    expectOk(await runCommand('btrfs', ['filesystem', 'sync', disk.path]));
    const before = await usedBytes(store);
    expectOk(await store.remove(key(1)));
    expectOk(await store.reclaimed());
    expect(before - (await usedBytes(store))).toBeGreaterThan(190 * MIB);
  });
  it('answers `cancelled` when reclaiming is aborted, and `busy` when it takes too long', async () => {
    await using store = await fresh({ reclaimTimeoutMs: 1 });
    const reason = new Error('enough');
    await save(store, 1);
    expectOk(await store.remove(key(1)));
    expect(expectErr(await store.reclaimed(AbortSignal.abort(reason)))).toMatchObject({
      type: 'cancelled',
      reason,
    });
    expect(expectErr(await store.reclaimed())).toMatchObject({ type: 'busy' });
  });
  it('removes a snapshot with subvolumes that a step made, of any name and one in the other', async () => {
    await using store = await fresh();
    await save(store, 1, undefined, makeSubvolumes);
    expectOk(await store.remove(key(1)));
    expect(expectOk(await store.list())).toEqual([]);
    expect(expectOk(await store.lookup(key(1)))).toBeUndefined();
  });
  it('drops an active snapshot with subvolumes that a step made', async () => {
    const path = await freshPath();
    await using store = expectOk(await openBtrfsStore({ path }));
    {
      await using active = expectOk(await prepare(store, 1));
      await within(active.volumes.get(rootfs), makeSubvolumes);
    }
    expect(await readdir(join(path, 'result'))).toEqual([]);
  });
  it('wipes at open whatever in `result` is not named by a key alone', async () => {
    const path = await freshPath();
    {
      await using store = expectOk(await openBtrfsStore({ path }));
      await save(store, 1);
      const active = expectOk(await prepare(store, 2, 1));
      await within(active.volumes.get(rootfs), makeSubvolumes);
      await mkdir(join(path, 'result/plain/dir'), { recursive: true });
      await writeFile(join(path, 'result/file'), '');
    }
    await using store = expectOk(await openBtrfsStore({ path }));
    expect(await readdir(join(path, 'result'))).toEqual([key(1)]);
    expect(expectOk(await store.list())).toEqual([key(1)]);
  });
  it('takes away what a dead owner left mounted, and nothing below it (Z13)', async () => {
    const path = await freshPath();
    const precious = await mkdtemp(join(disk.path, 'precious-'));
    await writeFile(join(precious, 'file'), 'kept');
    {
      await using store = expectOk(await openBtrfsStore({ path }));
      const active = expectOk(await prepare(store, 1));
      await within(active.volumes.get(rootfs), async (at) => {
        await mkdir(join(at, 'a mount'));
        expectOk(await runCommand('mount', ['--bind', precious, join(at, 'a mount')]));
      });
    }
    await using _ = expectOk(await openBtrfsStore({ path }));
    expect(await readdir(join(path, 'result'))).toEqual([]);
    expect(await readFile(join(precious, 'file'), 'utf8')).toBe('kept');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(path);
  });
  it('keeps saved snapshots read-only', async () => {
    await using store = await fresh();
    await save(store, 1);
    const saved = expectOk(await store.lookup(key(1)));
    await within(saved?.volumes.get(rootfs), async (path) => {
      await expect(writeFile(join(path, 'new'), '')).rejects.toMatchObject({ code: 'EROFS' });
    });
  });
  it('knows for certain that nobody wrote to a copy of a cache', async () => {
    await using store = await fresh();
    const id = toCacheId('apt');
    await using first = expectOk(await store.caches.checkOut(id, root));
    await within(first.volume, (path) => writeFile(join(path, 'file'), 'text'));
    expectOk(await first.publish());
    await using idle = expectOk(await store.caches.checkOut(id, root));
    await within(idle.volume, (path) => readFile(join(path, 'file')));
    await using busy = expectOk(await store.caches.checkOut(id, root));
    await within(busy.volume, (path) => writeFile(join(path, 'file'), 'TEXT'));
    expect(expectOk(await idle.changed())).toBe(false);
    expect(expectOk(await busy.changed())).toBe(true);
  });
  it('keeps a cache that a step set read-only from inside, and replaces and removes it', async () => {
    await using store = await fresh();
    const id = toCacheId('apt');
    for (const name of ['one', 'two', 'three']) {
      await using copy = expectOk(await store.caches.checkOut(id, root));
      await within(copy.volume, async (path) => {
        await writeFile(join(path, name), 'text');
        expectOk(await runCommand('btrfs', ['property', 'set', '-ts', path, 'ro', 'true']));
      });
      expectOk(await copy.publish());
    }
    const next = expectOk(await store.caches.checkOut(id, root));
    await within(next.volume, async (path) => {
      expect((await readdir(path)).sort()).toEqual(['one', 'three', 'two']);
      await writeFile(join(path, 'four'), 'text');
      expectOk(await runCommand('btrfs', ['property', 'set', '-ts', path, 'ro', 'true']));
    });
    await next[Symbol.asyncDispose]();
    expectOk(await store.caches.remove(id));
    expect(expectOk(await store.caches.list())).toEqual([]);
  });
  it('tells bytes, metadata and objects of its file system (B2)', async () => {
    await using store = await fresh();
    const axes = expectOk(await store.usage()).map(({ axis }) => axis);
    expect(axes).toEqual(['bytes', 'metadata-bytes', 'objects']);
  });
});

const MIB = 1024 * 1024;

function key(number: number) {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

function prepare(store: Store, number: number, parent?: number) {
  const from = parent === undefined ? { empty: [rootfs] } : { snapshot: key(parent) };
  return store.prepare({ key: key(number), from, signal: new AbortController().signal });
}

async function save(
  store: Store,
  number: number,
  parent?: number,
  change: (path: string) => Promise<unknown> = async () => {},
): Promise<void> {
  await using active = expectOk(await prepare(store, number, parent));
  await within(active.volumes.get(rootfs), change);
  expectOk(await active.commit());
}

async function within(volume: Volume | undefined, work: (path: string) => Promise<unknown>): Promise<void> {
  if (volume === undefined) throw new Error('there is no such volume');
  await using mounted = expectOk(await volume.mount());
  await work(mounted.path);
}

async function makeSubvolumes(path: string): Promise<void> {
  const outer = join(path, 'line\nend');
  expectOk(await runCommand('btrfs', ['subvolume', 'create', outer]));
  expectOk(await runCommand('btrfs', ['subvolume', 'create', join(outer, ' inner')]));
  await writeFile(join(outer, ' inner', 'file'), '');
  expectOk(await runCommand('btrfs', ['property', 'set', '-ts', outer, 'ro', 'true']));
  expect((await stat(outer)).ino).toBe(256);
}

async function fill(path: string, mebibytes: number): Promise<void> {
  await using file = await open(path, 'w');
  for (let written = 0; written < mebibytes; written += 1) await file.write(Buffer.alloc(MIB, written + 1));
}

async function usedBytes(store: Store): Promise<number> {
  return expectOk(await store.usage()).find(({ axis }) => axis === 'bytes')?.used ?? 0;
}
