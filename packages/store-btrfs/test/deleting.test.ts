import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, stat, writeFile } from 'node:fs/promises';
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
import { openBtrfsStore } from '../src/index.ts';
import { countedProgram } from './support/counted-btrfs.ts';

const rootfs = toVolumeName('rootfs');
const KEY = toStepKey('0'.repeat(64));
const ROOT = { uid: 0, gid: 0 };

needs('root', 'btrfs')('what the Btrfs store deletes', () => {
  let disk: Awaited<ReturnType<typeof btrfsVolume>>;
  beforeAll(async () => {
    disk = await btrfsVolume({ sizeMiB: 300 });
  });
  afterAll(() => disk[Symbol.asyncDispose]());
  const freshPath = async () => toHostPath(await mkdtemp(join(disk.path, 'store-')));

  it('is out of sight at once, so that an abort leaves no half of it', async () => {
    const path = await freshPath();
    await using store = expectOk(await openBtrfsStore({ path }));
    await save(store, async (at) => {
      await makeNested(at);
      await writeFile(join(at, 'file'), 'text');
    });
    const abort = new AbortController();
    // The first attempt fails for the subvolumes in it; the abort comes when they are gone.
    const [first, second] = [join(disk.path, 'first'), join(disk.path, 'second')];
    const wait = `[ -e '${first}' ] && { touch '${second}'; exec sleep 100; }; touch '${first}'`;
    const btrfs = await countedProgram('btrfs', wait);
    const removing = store.remove(KEY, abort.signal);
    await expect.poll(() => existsSync(second), { timeout: 20_000 }).toBe(true);
    abort.abort(new Error('enough'));
    expect(expectErr(await removing)).toMatchObject({ type: 'cancelled' });
    expect(expectOk(await store.list())).toEqual([]);
    expect(expectOk(await store.lookup(KEY))).toBeUndefined();
    expect(await readdir(join(path, 'result'))).toHaveLength(1);
    await btrfs[Symbol.asyncDispose]();
    expectOk(await store.reclaimed());
    expect(await readdir(join(path, 'result'))).toEqual([]);
  });

  it('after a crash is deleted as a subvolume, without a look at its files', async () => {
    const path = await freshPath();
    {
      await using store = expectOk(await openBtrfsStore({ path }));
      const active = expectOk(await prepare(store));
      await within(active.volumes.get(rootfs), (at) => writeFile(join(at, 'file'), 'text'));
      const copy = expectOk(await store.caches.checkOut(toCacheId('cache'), ROOT));
      await within(copy.volume, (at) => writeFile(join(at, 'file'), 'text'));
    }
    await using rm = await countedProgram('rm', 'find "$@" -type f -name file 2>/dev/null');
    await using _store = expectOk(await openBtrfsStore({ path }));
    expect(await rm.calls()).toEqual([]);
    expect(await readdir(join(path, 'result'))).toEqual([]);
    expect(await readdir(join(path, 'temporary'))).toHaveLength(1);
  });

  it('with subvolumes in it is deleted as subvolumes too', async () => {
    const path = await freshPath();
    {
      await using store = expectOk(await openBtrfsStore({ path }));
      await save(store, makeNested);
      const active = expectOk(await prepare(store, toStepKey('1'.repeat(64))));
      await within(active.volumes.get(rootfs), makeNested);
    }
    await using rm = await countedProgram('rm', 'find "$@" -type f -name file 2>/dev/null');
    await using store = expectOk(await openBtrfsStore({ path }));
    expectOk(await store.remove(KEY));
    expect(await rm.calls()).toEqual([]);
    expect(await readdir(join(path, 'result'))).toEqual([]);
  });

  it('is deleted later, where a child of a dead owner makes it anew', async () => {
    const path = await freshPath();
    {
      await using store = expectOk(await openBtrfsStore({ path }));
      expectOk(await prepare(store));
    }
    const [left] = await readdir(join(path, 'result'));
    await using store = expectOk(await openBtrfsStore({ path }));
    await mkdir(join(path, 'result', left ?? '', 'rootfs/usr'), { recursive: true });
    await using active = expectOk(await prepare(store, toStepKey('1'.repeat(64))));
    expectOk(await store.reclaimed());
    expect(await readdir(join(path, 'result'))).toHaveLength(1);
    expectOk(await active.commit());
  });
});

function prepare(store: Store, key = KEY) {
  return store.prepare({ key, from: { empty: [rootfs] }, signal: new AbortController().signal });
}

async function save(store: Store, change: (path: string) => Promise<unknown>): Promise<void> {
  await using active = expectOk(await prepare(store));
  await within(active.volumes.get(rootfs), change);
  expectOk(await active.commit());
}

async function within(volume: Volume | undefined, work: (path: string) => Promise<unknown>): Promise<void> {
  if (volume === undefined) throw new Error('there is no such volume');
  await using mounted = expectOk(await volume.mount());
  await work(mounted.path);
}

/** Three subvolumes in each other, read-only, with a file in each. */
async function makeNested(path: string): Promise<void> {
  const nested = ['outer', 'outer/ in\nner', 'outer/ in\nner/-last'].map((name) => join(path, name));
  for (const at of nested) {
    expectOk(await runCommand('btrfs', ['subvolume', 'create', at]));
    await writeFile(join(at, 'file'), 'text');
    expect((await stat(at)).ino).toBe(256);
  }
  for (const at of nested.reverse())
    expectOk(await runCommand('btrfs', ['property', 'set', '-ts', at, 'ro', 'true']));
}
