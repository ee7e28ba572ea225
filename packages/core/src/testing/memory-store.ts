import { rename, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { cancelled, failed, orThrow, type StoreError } from '../backend/failures.ts';
import { type HostPath, type StepKey, toHostPath, type VolumeName } from '../backend/names.ts';
import type { ActiveSnapshot, PrepareRequest, Snapshot, Store, Usage } from '../backend/store.ts';
import { attempt } from '../backend/store-failure.ts';
import type { Volume, Volumes } from '../backend/volume.ts';
import { copyTree, removeTree } from './directory-tree.ts';
import { MemoryCaches, makeDirectory } from './memory-caches.ts';
import { type MemoryDisk, memoryDisk } from './memory-disk.ts';

/** A store for tests of programs that embed Snapstep. */
export interface MemoryStore extends Store {
  readonly name: 'memory';
  /** Volumes that are mounted now: 0 when nobody uses the store. */
  readonly mounted: number;
}

/**
 * A store that knows what it holds only in memory: the files are in a temporary directory, which goes when the store
 * is disposed. It keeps what the disk of that directory keeps. Privileges are needed only for files of other owners.
 */
export async function memoryStore(): Promise<MemoryStore> {
  const disk = await memoryDisk();
  const store = orThrow(await openMemoryStore(disk));
  const close = store[Symbol.asyncDispose].bind(store);
  return Object.assign(store, {
    [Symbol.asyncDispose]: async () => {
      await close();
      await disk[Symbol.asyncDispose]();
    },
  });
}

/** Opens the store of a disk that outlives it: what was active is gone, and what was saved is there. */
export async function openMemoryStore(disk: MemoryDisk): Promise<Result<MemoryStore, StoreError>> {
  if (disk.isOpen) {
    return err({ type: 'busy', message: `the memory disk ${disk.path} is in use by process ${process.pid}` });
  }
  disk.isOpen = true;
  await disk.wipe();
  return ok(new TemporaryStore(disk));
}

class TemporaryStore implements MemoryStore {
  readonly name = 'memory';
  mounted = 0;
  readonly caches: Store['caches'];
  readonly #disk: MemoryDisk;

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
    this.caches = new MemoryCaches(disk, (name, path) => this.#volume(name, path));
  }

  async lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    const names = this.#disk.snapshots.get(key);
    return ok(names && { key, volumes: this.#volumes(this.#disk.saved(key), names) });
  }

  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    if (signal.aborted) return err(cancelled(signal));
    if ('baseImage' in from) return err(failed('the memory store holds no base images'));
    const path = this.#disk.fresh();
    const names = 'empty' in from ? from.empty : this.#disk.snapshots.get(from.snapshot);
    if (names === undefined) return err(notFound(from));
    const made = await ('empty' in from
      ? makeVolumes(path, names)
      : copyTree(this.#disk.saved(from.snapshot), path, signal));
    if (made.isOk() && !signal.aborted) return ok(this.#active(key, { path, names }));
    await removeTree(path);
    return err(made.isErr() ? made.error : cancelled(signal));
  }

  async remove(key: StepKey): Promise<Result<void, StoreError>> {
    this.#disk.snapshots.delete(key);
    return removeTree(this.#disk.saved(key));
  }

  async reclaimed(): Promise<Result<void, StoreError>> {
    return ok();
  }

  async list(): Promise<Result<readonly StepKey[], StoreError>> {
    return ok([...this.#disk.snapshots.keys()]);
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    const stats = await attempt(statfs(this.#disk.path));
    return stats.map(({ blocks, bfree, bsize }) => [
      { axis: 'bytes', used: (blocks - bfree) * bsize, total: blocks * bsize },
      { axis: 'objects', used: this.#disk.snapshots.size },
      { axis: 'mounts', used: this.mounted },
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disk.isOpen = false;
  }

  #active(
    key: StepKey,
    at: { readonly path: HostPath; readonly names: readonly VolumeName[] },
  ): ActiveSnapshot {
    let isCommitted = false;
    let isSaved = false;
    return {
      volumes: this.#volumes(at.path, at.names),
      commit: async () => {
        if (isCommitted) throw new Error('commit was called twice');
        isCommitted = true;
        const saved = await attempt(rename(at.path, this.#disk.saved(key)));
        if (saved.isErr()) return err(saved.error);
        isSaved = true;
        this.#disk.snapshots.set(key, at.names);
        return ok({ key, volumes: this.#volumes(this.#disk.saved(key), at.names) });
      },
      [Symbol.asyncDispose]: async () => {
        if (!isSaved) await removeTree(at.path);
      },
    };
  }

  #volumes(path: HostPath, names: readonly VolumeName[]): Volumes {
    return new Map(names.map((name) => [name, this.#volume(name, toHostPath(join(path, name)))]));
  }

  #volume(name: VolumeName, path: HostPath): Volume {
    return {
      name,
      mount: async () => {
        this.mounted += 1;
        let isMounted = true;
        return ok({
          path,
          [Symbol.asyncDispose]: async () => {
            if (isMounted) this.mounted -= 1;
            isMounted = false;
          },
        });
      },
    };
  }
}

async function makeVolumes(path: string, names: readonly VolumeName[]): Promise<Result<void, StoreError>> {
  for (const name of names) {
    const made = await makeDirectory(join(path, name));
    if (made.isErr()) return made;
  }
  return ok();
}

function notFound(from: PrepareRequest['from']): StoreError {
  const key = (from as { readonly snapshot: StepKey }).snapshot;
  return { type: 'not-found', key, message: `there is no snapshot ${key}` };
}
