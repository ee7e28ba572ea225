import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActiveSnapshot, PrepareRequest, Snapshot, StepKey, Store, Volumes } from '@snapstep/core';
import { toStepKey, toVolumeName } from '@snapstep/core';
import { expectOk } from '@snapstep/test-support';

export const rootfs = toVolumeName('rootfs');
export const never: AbortSignal = new AbortController().signal;

export function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

export async function prepare(
  store: Store,
  { at, from = { empty: [rootfs] } }: { readonly at: StepKey; readonly from?: PrepareRequest['from'] },
): Promise<ActiveSnapshot> {
  return expectOk(await store.prepare({ key: at, from, signal: never }));
}

export async function inRootfs<T>(volumes: Volumes, work: (path: string) => Promise<T>): Promise<T> {
  const volume = volumes.get(rootfs);
  if (volume === undefined) throw new Error('there is no rootfs');
  await using mounted = expectOk(await volume.mount());
  return await work(mounted.path);
}

/** Saves a snapshot with some files more than what it starts from. */
export async function save(
  store: Store,
  step: {
    readonly at: StepKey;
    readonly from?: PrepareRequest['from'];
    readonly files: Readonly<Record<string, string>>;
  },
): Promise<Snapshot> {
  await using active = await prepare(store, step);
  await inRootfs(active.volumes, (path) => writeFiles(path, step.files));
  return expectOk(await active.commit());
}

export async function lookAt<T>(
  store: Store,
  { at, look }: { readonly at: StepKey; readonly look: (path: string) => Promise<T> },
): Promise<T> {
  const snapshot = expectOk(await store.lookup(at));
  if (snapshot === undefined) throw new Error(`${at} is not saved`);
  return inRootfs(snapshot.volumes, look);
}

export async function writeFiles(path: string, files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, content] of Object.entries(files)) await writeFile(join(path, name), content);
}
