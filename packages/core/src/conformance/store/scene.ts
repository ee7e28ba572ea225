import assert from 'node:assert/strict';
import type { Outcome, StoreError } from '../../backend/failures.ts';
import type { CacheId, Owner, StepKey } from '../../backend/names.ts';
import { toStepKey, toVolumeName, type VolumeName } from '../../backend/names.ts';
import type { ActiveSnapshot, CacheCopy, PrepareRequest, Snapshot, Store } from '../../backend/store.ts';
import type { Volume, Volumes } from '../../backend/volume.ts';
import { keeps, type SuitePromise, show } from '../promise.ts';
import { describeTree } from './describe-tree.ts';
import { storePromises as promises } from './promises.ts';

/** A store under test, in a place of its own. Disposing it takes both away. */
export interface StorePlace extends AsyncDisposable {
  readonly store: Store;
  /** Opens the same place again, once the suite has disposed the store opened before. */
  reopen(): Promise<Store>;
  /** Opens the same place while it is open. Absent where there is no such thing, as for a store in memory. */
  openSecond?(): Outcome<Store, StoreError>;
  /** How much the store has mounted in this place now. Without it the axis `mounts` of its `usage` is taken. */
  mounts?(): Promise<number>;
  /** What lies here that is neither saved, nor active, nor the store's own, while no call is running. */
  leftovers?(): Promise<readonly string[]>;
  /** What is here, for the author to read when a test failed. Without it every saved volume is listed. */
  dump?(): Promise<string>;
}

/** Registers one test, which gets a fresh place. */
export type StoreTest = (
  title: string,
  body: (scene: Scene) => Promise<void>,
  options?: { readonly root?: boolean },
) => void;

export interface SceneOptions {
  readonly open: () => Promise<StorePlace>;
  readonly scale: number;
  readonly seed?: number;
}

export const isRoot: boolean = process.getuid?.() === 0;
export const rootfs: VolumeName = toVolumeName('rootfs');
/** Somebody whom the caller may give files to. */
export const somebody: Owner = isRoot ? { uid: 1234, gid: 4321 } : currentUser();

export function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

/** The value of a success. A failure breaks the promise, and is shown whole. */
export async function expectOk<T, E>(
  outcome: Outcome<T, E>,
  promise: SuitePromise = promises.succeeds,
): Promise<T> {
  const result = await settled(outcome);
  if (result.isOk()) return result.value;
  return assert.fail(`broken promise: ${promise}\nseen: ${show(result.error)}`);
}

/** The `Result` of a call, which may not reject. */
export async function settled<T, E>(outcome: Outcome<T, E>): Promise<Awaited<Outcome<T, E>>> {
  try {
    return await outcome;
  } catch (error) {
    return assert.fail(`broken promise: ${promises.outcomes}\nseen: ${show(error)}`);
  }
}

const ABORT_SECONDS = 30;

/** What a call gives that must end by itself, or by an abort, long before anybody would lose patience. */
export async function bounded<T>(call: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), ABORT_SECONDS * 1000);
  });
  const result = await Promise.race([call.then((value) => ({ value })), late]);
  clearTimeout(timer);
  keeps(promises.quiet, result !== undefined, `it did not settle within ${ABORT_SECONDS} seconds`);
  return result.value;
}

/** Disposes something, which may not reject. */
export async function dispose(what: AsyncDisposable): Promise<void> {
  try {
    await what[Symbol.asyncDispose]();
  } catch (error) {
    assert.fail(`broken promise: ${promises.disposeQuiet}\nseen: ${show(error)}`);
  }
}

export type Change = (path: string) => Promise<unknown>;

/** What nearly every test does with a store, in few words. */
export class Scene implements AsyncDisposable {
  store: Store;
  readonly place: StorePlace;
  readonly options: SceneOptions;

  constructor(place: StorePlace, options: SceneOptions) {
    this.place = place;
    this.store = place.store;
    this.options = options;
  }

  /** A number that is affordable on this store, and at least `least`. */
  scaled(number: number, least = 2): number {
    return Math.max(least, Math.ceil(number * this.options.scale));
  }

  /** Another place of the same kind. */
  async another(): Promise<Scene> {
    return new Scene(await this.options.open(), this.options);
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

  async lookup(at: StepKey): Promise<Snapshot | undefined> {
    return expectOk(this.store.lookup(at));
  }

  /** Calls `look` with the path of a saved snapshot. */
  async look<T>(at: StepKey, look: (path: string) => Promise<T>): Promise<T> {
    const snapshot = await this.lookup(at);
    keeps(promises.listed, snapshot !== undefined, `\`lookup\` does not find ${at}, which was saved`);
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

  async listCaches(): Promise<readonly CacheId[]> {
    return [...(await expectOk(this.store.caches.list()))].sort();
  }

  /** How much is mounted; undefined where nobody can tell. */
  async mounts(): Promise<number | undefined> {
    if (this.place.mounts) return this.place.mounts();
    return (await expectOk(this.store.usage())).find(({ axis }) => axis === 'mounts')?.used;
  }

  async leftovers(): Promise<readonly string[]> {
    return (await this.place.leftovers?.()) ?? [];
  }

  /** As after the end of the process: what is active is not disposed first. */
  async reopen(): Promise<void> {
    await dispose(this.store);
    try {
      this.store = await this.place.reopen();
    } catch (error) {
      assert.fail(`broken promise: ${promises.givenUp}\nseen: ${show(error)}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await dispose(this.store);
    await this.place[Symbol.asyncDispose]();
  }
}

/** Calls `work` with the path of the volume `rootfs`. */
export async function within<T>(volumes: Volumes, work: (path: string) => Promise<T>): Promise<T> {
  const volume = volumes.get(rootfs);
  keeps(promises.askedVolumes, volume !== undefined, [...volumes.keys()]);
  return mounted(volume, work);
}

export async function mounted<T>(volume: Volume, work: (path: string) => Promise<T>): Promise<T> {
  await using mount = await expectOk(volume.mount());
  return await work(mount.path);
}

function currentUser(): Owner {
  return { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
}
