import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type CacheId,
  type Owner,
  type StepKey,
  type Store,
  toCacheId,
  toHostPath,
  toStepKey,
  toVolumeName,
  type VolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';
import { type OverlayfsStoreOptions, openOverlayfsStore } from '../../src/index.ts';

export const rootfs: VolumeName = toVolumeName('rootfs');
export const cache: CacheId = toCacheId('apt');
export const root: Owner = { uid: 0, gid: 0 };

export function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

export async function openIn(
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

export async function save(
  store: Store,
  number: number,
  change: (path: string) => Promise<unknown>,
): Promise<void> {
  const from = number === 0 ? { empty: [rootfs] } : { snapshot: key(number - 1) };
  const signal = new AbortController().signal;
  await using active = expectOk(await store.prepare({ key: key(number), from, signal }));
  await within(active.volumes, change);
  expectOk(await active.commit());
}

export async function look<T>(store: Store, number: number, work: (path: string) => Promise<T>): Promise<T> {
  return within(expectOk(await store.lookup(key(number)))?.volumes, work);
}

export async function publish(store: Store, change: (path: string) => Promise<unknown>): Promise<void> {
  await using copy = expectOk(await store.caches.checkOut(cache, root));
  {
    await using mounted = expectOk(await copy.volume.mount());
    await change(mounted.path);
  }
  expectOk(await copy.publish());
}

export async function cacheFiles(store: Store): Promise<string[]> {
  await using copy = expectOk(await store.caches.checkOut(cache, root));
  await using mounted = expectOk(await copy.volume.mount());
  return (await readdir(mounted.path, { recursive: true })).sort();
}

export const layersOf = (disk: { readonly path: string }) => readdir(join(disk.path, 'store/layers'));

export async function recordOf(disk: { readonly path: string }, number: number): Promise<string[]> {
  const record = await readFile(join(disk.path, 'store/snapshots', key(number)), 'utf8');
  return JSON.parse(record).rootfs;
}

/** Writes what so many steps would have left, each with a file of its own. */
export async function makeDeepSnapshot(disk: { readonly path: string }, depth: number): Promise<void> {
  const ids = Array.from({ length: depth }, (_, number) => (number + 1).toString(36));
  for (const [number, id] of ids.entries()) {
    await mkdir(join(disk.path, 'store/layers', id, 'v'), { recursive: true });
    await touch(join(disk.path, 'store/layers', id, 'v'), number);
  }
  await writeFile(join(disk.path, 'store/snapshots', key(0)), JSON.stringify({ rootfs: ids.reverse() }));
}

export function touch(path: string, number: number): Promise<void> {
  return writeFile(join(path, `${number}`), '');
}

export async function all(path: string): Promise<string[]> {
  return (await readdir(path, { recursive: true })).sort();
}
