import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ActiveSnapshot,
  type HostPath,
  type PrepareRequest,
  type Snapshot,
  type StepKey,
  toHostPath,
  toStepKey,
  toVolumeName,
  type Volume,
  type VolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import { expectOk, tempDir, zfsPool } from '@snapstep/test-support';
import { execa } from 'execa';
import { openZfsStore, type ZfsStore } from '../../../src/index.ts';
import { mountsOf } from '../../support/leftovers.ts';

export const home: VolumeName = toVolumeName('home');
export const brew: VolumeName = toVolumeName('brew');
/** Whoever runs the tests. */
export const us = { uid: 0, gid: 0 };

/** A store in a pool of its own. */
export interface World extends AsyncDisposable {
  readonly dataset: string;
  readonly directory: HostPath;
  readonly store: ZfsStore;
  /** Closes the store, and opens it again. */
  reopen(): Promise<ZfsStore>;
  /** Where something of the store is mounted. */
  mounts(): Promise<readonly string[]>;
}

export async function openWorld(): Promise<World> {
  await using made = new AsyncDisposableStack();
  const temp = made.use(await tempDir());
  const directory = toHostPath(join(temp.path, 'store'));
  const pool = made.use(await zfsPool());
  // It goes with the pool: to destroy a thousand results one by one takes minutes.
  const dataset = `${pool.name}/store`;
  await execa('zfs', ['create', '-o', 'canmount=off', dataset]);
  const open = async () => expectOk(await openZfsStore({ dataset, directory }));
  let store = await open();
  made.defer(() => store[Symbol.asyncDispose]());
  const all = made.move();
  return {
    dataset,
    directory,
    get store() {
      return store;
    },
    async reopen() {
      await store[Symbol.asyncDispose]();
      store = await open();
      return store;
    },
    mounts: () => mountsOf(dataset),
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}

export function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

export async function prepare(
  store: ZfsStore,
  number: number,
  from: PrepareRequest['from'],
): Promise<ActiveSnapshot> {
  return expectOk(await store.prepare({ key: key(number), from, signal: new AbortController().signal }));
}

/** Saves a snapshot in which the file `step` of each volume says `text`. */
export async function save(
  store: ZfsStore,
  number: number,
  { from, text = `${number}` }: { readonly from: PrepareRequest['from']; readonly text?: string },
): Promise<Snapshot> {
  await using active = await prepare(store, number, from);
  for (const volume of active.volumes.values()) await write(volume, text);
  return expectOk(await active.commit());
}

export async function write(volume: Volume, text: string): Promise<void> {
  await using mounted = expectOk(await volume.mount());
  await writeFile(join(mounted.path, 'step'), text);
}

/** What the file `step` of a volume says. */
export async function read(volume: Volume): Promise<string> {
  await using mounted = expectOk(await volume.mount());
  return await readFile(join(mounted.path, 'step'), 'utf8');
}

export function volumeOf({ volumes }: { readonly volumes: Volumes }, name: VolumeName): Volume {
  const volume = volumes.get(name);
  if (volume === undefined) throw new Error(`there is no volume ${name}`);
  return volume;
}

export async function lookup(store: ZfsStore, number: number): Promise<Snapshot> {
  const snapshot = expectOk(await store.lookup(key(number)));
  if (snapshot === undefined) throw new Error(`snapshot ${number} is not saved`);
  return snapshot;
}
