import assert from 'node:assert/strict';
import { inspect } from 'node:util';
import type { Outcome, StoreError } from '../../backend/failures.ts';
import type { CacheId, Owner, StepKey } from '../../backend/names.ts';
import { toStepKey, toVolumeName, type VolumeName } from '../../backend/names.ts';
import type { ActiveSnapshot, CacheCopy, PrepareRequest, Snapshot, Store } from '../../backend/store.ts';
import type { Volume, Volumes } from '../../backend/volume.ts';
import { describeTree } from './describe-tree.ts';

/** A store under test, in a place of its own. Disposing it takes both away. */
export interface StorePlace extends AsyncDisposable {
  readonly store: Store;
  /** Opens the same place again, once the suite has disposed the store opened before. */
  reopen(): Promise<Store>;
  /** Opens the same place while it is open. Absent where there is no such thing, as for a store in memory. */
  openSecond?(): Outcome<Store, StoreError>;
}

/** Registers one test, which gets a fresh place. */
export type StoreTest = (title: string, body: (scene: Scene) => Promise<void>) => void;

export const isRoot: boolean = process.getuid?.() === 0;
export const rootfs: VolumeName = toVolumeName('rootfs');
/** Somebody whom the caller may give files to. */
export const somebody: Owner = isRoot ? { uid: 1234, gid: 4321 } : currentUser();

export function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

/** The value of a success; a failure fails the test and is shown whole. */
export async function expectOk<T, E>(outcome: Outcome<T, E>): Promise<T> {
  const result = await outcome;
  if (result.isErr()) assert.fail(`expected a success, got ${inspect(result.error, { depth: 5 })}`);
  return result.value;
}

type Change = (path: string) => Promise<unknown>;

/** What nearly every test does with a store, in few words. */
export class Scene implements AsyncDisposable {
  store: Store;
  readonly place: StorePlace;

  constructor(place: StorePlace) {
    this.place = place;
    this.store = place.store;
  }

  prepare(at: StepKey, from: PrepareRequest['from'] = { empty: [rootfs] }): Promise<ActiveSnapshot> {
    return expectOk(this.store.prepare({ key: at, from, signal: new AbortController().signal }));
  }

  /** Saves a snapshot that starts from a parent, or empty, and is changed by `change`. */
  async save(at: StepKey, change: Change, parent?: StepKey): Promise<Snapshot> {
    await using active = await this.prepare(at, parent === undefined ? undefined : { snapshot: parent });
    await within(active.volumes, change);
    return await expectOk(active.commit());
  }

  /** Calls `look` with the path of a saved snapshot. */
  async look<T>(at: StepKey, look: (path: string) => Promise<T>): Promise<T> {
    const snapshot = await expectOk(this.store.lookup(at));
    assert.ok(snapshot, `snapshot ${at} is not there`);
    return within(snapshot.volumes, look);
  }

  tree(at: StepKey): Promise<readonly string[]> {
    return this.look(at, describeTree);
  }

  checkOut(id: CacheId): Promise<CacheCopy> {
    return expectOk(this.store.caches.checkOut(id, somebody));
  }

  /** Makes a new version of a cache. */
  async publish(id: CacheId, change: Change): Promise<void> {
    await using copy = await this.checkOut(id);
    await mounted(copy.volume, change);
    await expectOk(copy.publish());
  }

  /** What the next one to use a cache sees. */
  async cacheTree(id: CacheId): Promise<readonly string[]> {
    await using copy = await this.checkOut(id);
    return await mounted(copy.volume, describeTree);
  }

  async list(): Promise<readonly StepKey[]> {
    return [...(await expectOk(this.store.list()))].sort();
  }

  /** As after the end of the process: what is active is not disposed first. */
  async reopen(): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    this.store = await this.place.reopen();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.store[Symbol.asyncDispose]();
    await this.place[Symbol.asyncDispose]();
  }
}

/** Calls `work` with the path of the volume `rootfs`. */
export async function within<T>(volumes: Volumes, work: (path: string) => Promise<T>): Promise<T> {
  const volume = volumes.get(rootfs);
  assert.ok(volume, 'there is no volume "rootfs"');
  return mounted(volume, work);
}

export async function mounted<T>(volume: Volume, work: (path: string) => Promise<T>): Promise<T> {
  await using mount = await expectOk(volume.mount());
  return await work(mount.path);
}

function currentUser(): Owner {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}
