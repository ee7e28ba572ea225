import { mkdir, mkdtemp, readdir, readFile, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  parseMountPoints,
  runCommand,
  type Store,
  toCacheId,
  toHostPath,
  toStepKey,
  toVolumeName,
  type Volume,
} from '@snapstep/core/backend';
import { btrfsVolume, expectErr, expectOk, needs, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { openRsyncStore, type RsyncStoreOptions } from '../src/index.ts';

const rootfs = toVolumeName('rootfs');

describe('sharing identical files', () => {
  const options = { linkIdentical: true } as const;

  it('keeps a file once that a step left as it was, and only such a file', async () => {
    await using dir = await tempDir();
    await using store = await openAt(dir.path, options);
    const time = new Date('2024-01-02T03:04:05.678Z');
    await save(store, 1, undefined, async (path) => {
      for (const name of ['same', 'content', 'mode', 'time']) await writeFile(join(path, name), 'before');
      for (const name of ['same', 'content', 'mode', 'time']) await utimes(join(path, name), time, time);
    });
    await save(store, 2, 1, async (path) => {
      await writeFile(join(path, 'content'), 'after!');
      await utimes(join(path, 'content'), time, time);
      await writeFile(join(path, 'mode'), 'before', { mode: 0o600 });
      expectOk(await runCommand('chmod', ['600', join(path, 'mode')]));
      await utimes(join(path, 'mode'), time, time);
      expectOk(await runCommand('touch', ['--date=2024-01-02T03:04:05.678000001Z', join(path, 'time')]));
    });
    const at = (number: number, name: string) => join(dir.path, 'store/result', key(number), 'rootfs', name);
    const isShared = async (name: string) => (await stat(at(1, name))).ino === (await stat(at(2, name))).ino;
    expect(await isShared('same')).toBe(true);
    expect(await isShared('content')).toBe(false);
    expect(await isShared('mode')).toBe(false);
    expect(await isShared('time')).toBe(false);
    expect(await readFile(at(1, 'content'), 'utf8')).toBe('before');
  });
  it('shares nothing with a snapshot that is being worked on', async () => {
    await using dir = await tempDir();
    await using store = await openAt(dir.path, options);
    await save(store, 1, undefined, (path) => writeFile(join(path, 'f'), 'x'));
    await save(store, 2, 1);
    await using active = expectOk(await prepare(store, 3, 2));
    await within(active.volumes.get(rootfs), async (path) => {
      expect((await stat(join(path, 'f'))).nlink).toBe(1);
    });
  });
});

needs('root', 'btrfs')('the store on Btrfs', () => {
  it('is rid of read-only subvolumes in one another, which any user can leave in a step', async () => {
    await using disk = await btrfsVolume({ sizeMiB: 512 });
    {
      await using store = await openAt(disk.path, {});
      await save(store, 1, undefined, async (at) => {
        await runCommand('btrfs', ['subvolume', 'create', join(at, 'outer')]);
        await runCommand('btrfs', ['subvolume', 'create', join(at, 'outer/inner')]);
        for (const name of ['outer/inner', 'outer']) {
          expectOk(await runCommand('btrfs', ['property', 'set', '-ts', join(at, name), 'ro', 'true']));
        }
      });
      expectOk(await store.remove(key(1)));
      expect(expectOk(await store.list())).toEqual([]);
    }
    await using _again = await openAt(disk.path, {});
    expect(await readdir(join(disk.path, 'store/result'))).toEqual([]);
  });
});

describe('the store', () => {
  it('deletes the rest of an aborted removal when the space is asked for', async () => {
    await using dir = await tempDir();
    await using store = await openAt(dir.path, {});
    await save(store, 1, undefined, (path) => writeFile(join(path, 'f'), 'x'));
    const reason = new Error('enough');
    expect(expectErr(await store.remove(key(1), AbortSignal.abort(reason)))).toMatchObject({
      type: 'cancelled',
      reason,
    });
    expect(expectOk(await store.lookup(key(1)))).toBeUndefined();
    expectOk(await store.reclaimed());
    expect(await temporary(dir.path)).toEqual([expect.any(String)]);
  });
  it('leaves nothing temporary after many copies of one cache at once (V7, X8)', async () => {
    await using dir = await tempDir();
    await using store = await openAt(dir.path, {});
    const id = toCacheId('apt');
    for (let round = 0; round < 5; round += 1) {
      const copies = await Promise.all([1, 2, 3].map(() => store.caches.checkOut(id, owner())));
      for (const copy of copies) {
        await using one = expectOk(copy);
        if (one === expectOk(copies[0] ?? copy)) expectOk(await one.publish());
      }
    }
    expect(await temporary(dir.path)).toEqual([expect.any(String)]);
  });
  it('says that a volume is gone rather than give the path of nothing', async () => {
    await using dir = await tempDir();
    await using store = await openAt(dir.path, {});
    await save(store, 1);
    const snapshot = expectOk(await store.lookup(key(1)));
    expectOk(await store.remove(key(1)));
    const mounted = await snapshot?.volumes.get(rootfs)?.mount();
    expect(mounted?.isErr()).toBe(true);
  });
});

describe('parseMountPoints (T3)', () => {
  it('reads blanks, tabs, line ends and backslashes in paths', () => {
    const line = '36 35 98:0 /mnt1 /a\\040b\\011c\\012d\\134e rw,noatime master:1 - ext3 /dev/root rw';
    expect(parseMountPoints(`${line}\n`)).toEqual(['/a b\tc\nd\\e']);
  });
});

needs('root', 'btrfs')('the store on a small disk', () => {
  // Data that lay on another disk than the one that was watched filled that.
  it('tells of the disk that it lies on, and of no other (P22)', async () => {
    await using disk = await btrfsVolume({ sizeMiB: 256 });
    await using store = await openAt(await mkdtemp(join(disk.path, 'x-')), {});
    const bytes = expectOk(await store.usage()).find(({ axis }) => axis === 'bytes');
    expect(bytes?.total).toBeGreaterThan(100 * 1024 * 1024);
    expect(bytes?.total).toBeLessThanOrEqual(256 * 1024 * 1024);
  });
  it('answers `no-space` when a copy does not fit, and leaves nothing of it', async () => {
    await using disk = await btrfsVolume({ sizeMiB: 256 });
    const path = await mkdtemp(join(disk.path, 'x-'));
    await using store = await openAt(path, { method: 'rsync' });
    await save(store, 1, undefined, (at) => writeFile(join(at, 'big'), randomBytes(120)));
    expect(expectErr(await prepare(store, 2, 1))).toMatchObject({ type: 'no-space' });
    expect(await temporary(path)).toEqual([expect.any(String)]);
    expect(expectOk(await store.list())).toEqual([key(1)]);
  });
});

needs('root')('the store of a dead owner', () => {
  it('is freed of what is still mounted in it, and nothing below that is deleted (Z13)', async () => {
    await using dir = await tempDir();
    const precious = join(dir.path, 'precious');
    await mkdir(precious);
    await writeFile(join(precious, 'file'), 'kept');
    {
      await using store = await openAt(dir.path, {});
      const active = expectOk(await prepare(store, 1));
      await within(active.volumes.get(rootfs), async (path) => {
        await mkdir(join(path, 'a mount'));
        expectOk(await runCommand('mount', ['--bind', precious, join(path, 'a mount')]));
      });
      await active[Symbol.asyncDispose]();
      expect(await readFile(join(precious, 'file'), 'utf8')).toBe('kept');
    }
    await using _ = await openAt(dir.path, {});
    expect(await readFile(join(precious, 'file'), 'utf8')).toBe('kept');
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(dir.path);
    expect(await temporary(dir.path)).toEqual([expect.any(String)]);
  });
});

async function openAt(path: string, options: Omit<RsyncStoreOptions, 'path'>): Promise<Store> {
  return expectOk(await openRsyncStore({ ...options, path: toHostPath(join(path, 'store')) }));
}

function temporary(path: string): Promise<string[]> {
  return readdir(join(path, 'store/temporary'), { recursive: true });
}

function key(number: number) {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

function owner() {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}

function randomBytes(mebibytes: number): Uint8Array {
  const block = crypto.getRandomValues(new Uint8Array(65_536));
  return Buffer.concat(Array.from({ length: mebibytes * 16 }, () => block));
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
