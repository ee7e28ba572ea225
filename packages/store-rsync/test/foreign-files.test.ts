import { mkdir, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Store, toCacheId, toHostPath, toStepKey, toVolumeName } from '@snapstep/core/backend';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { openRsyncStore } from '../src/index.ts';

const rootfs = toVolumeName('rootfs');
const [ONE, TWO, THREE] = ['1', '2', '3'].map((digit) => toStepKey(digit.repeat(64))) as [
  ReturnType<typeof toStepKey>,
  ReturnType<typeof toStepKey>,
  ReturnType<typeof toStepKey>,
];
const OWNER = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
const APT = toCacheId('apt');

describe('what somebody put into the directory of a store', () => {
  it('beside the volumes of a snapshot is no volume', async () => {
    await using place = await openPlace();
    await place.save(ONE);
    await writeFile(join(place.path, 'result', ONE, '.DS_Store'), '');
    await writeFile(join(place.path, 'result', ONE, 'file'), '');
    await mkdir(join(place.path, 'result', ONE, 'Not a volume'));
    expect([...(expectOk(await place.store.lookup(ONE))?.volumes.keys() ?? [])]).toEqual([rootfs]);
    await place.save(TWO, ONE);
    expect([...(expectOk(await place.store.lookup(TWO))?.volumes.keys() ?? [])]).toEqual([rootfs]);
  });

  it.each<readonly [what: string, make: (path: string) => Promise<unknown>]>([
    ['a file', (path) => writeFile(path, '')],
    ['a link', (path) => symlink('/', path)],
    ['a directory with files', (path) => mkdir(join(path, 'x'), { recursive: true })],
  ])('under the key of a step, as %s, gives way to the step', async (what, make) => {
    await using place = await openPlace();
    await place.save(ONE);
    await rm(join(place.path, 'result', ONE), { recursive: true });
    for (const key of [ONE, TWO]) await make(join(place.path, 'result', key));
    if (!what.startsWith('a directory')) {
      expect(expectOk(await place.store.lookup(ONE))).toBeUndefined();
      expect(expectOk(await place.store.list())).toEqual([]);
      const signal = new AbortController().signal;
      const lost = expectErr(await place.store.prepare({ key: THREE, from: { snapshot: ONE }, signal }));
      expect(lost.type).toBe('not-found');
    }
    expectOk(await place.store.remove(ONE));
    for (const key of [ONE, TWO]) await place.save(key);
    expect(expectOk(await place.store.list()).toSorted()).toEqual([ONE, TWO]);
    expect(await readdir(join(place.path, 'result', TWO))).toEqual([rootfs]);
  });

  it('in the place of a cache gives way to an empty one', async () => {
    await using place = await openPlace();
    await writeFile(join(place.path, 'cache/c-apt'), '');
    await writeFile(join(place.path, 'cache/No name of ours'), '');
    await using copy = expectOk(await place.store.caches.checkOut(APT, OWNER));
    await using mounted = expectOk(await copy.volume.mount());
    expect(await readdir(mounted.path)).toEqual([]);
    expectOk(await copy.publish());
    expect(await readdir(join(place.path, 'cache/c-apt'))).toEqual([]);
    expect(expectOk(await place.store.caches.list())).toEqual([APT]);
    expectOk(await place.store.caches.remove(APT));
  });

  it('anywhere keeps nobody from opening it, saving, asking and removing', async () => {
    await using place = await openPlace();
    await place.save(ONE);
    for (const directory of ['', 'result', 'cache', 'temporary']) {
      await writeFile(join(place.path, directory, '_x'), '');
      await mkdir(join(place.path, directory, 'a b/c'), { recursive: true });
      await symlink('/nowhere', join(place.path, directory, '-rf'));
    }
    await place.reopen();
    await place.save(TWO, ONE);
    expect(expectOk(await place.store.list()).toSorted()).toEqual([ONE, TWO]);
    expectOk(await place.store.usage());
    for (const key of [ONE, TWO]) expectOk(await place.store.remove(key));
    expectOk(await place.store.reclaimed());
    expect(expectOk(await place.store.list())).toEqual([]);
  });
});

async function openPlace() {
  const dir = await tempDir();
  const path = join(dir.path, 'store');
  const open = async (): Promise<Store> => expectOk(await openRsyncStore({ path: toHostPath(path) }));
  let store = await open();
  return {
    path,
    get store() {
      return store;
    },
    save: async (key: typeof ONE, parent?: typeof ONE) => {
      const from = parent === undefined ? { empty: [rootfs] } : { snapshot: parent };
      const { signal } = new AbortController();
      await using active = expectOk(await store.prepare({ key, from, signal }));
      expectOk(await active.commit());
    },
    reopen: async () => {
      await store[Symbol.asyncDispose]();
      store = await open();
    },
    [Symbol.asyncDispose]: async () => {
      await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
