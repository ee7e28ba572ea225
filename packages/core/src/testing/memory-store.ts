import { randomUUID } from 'node:crypto';
import { chown, cp, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { cancelled, type StoreError } from '../backend/failures.ts';
import { type CacheId, type HostPath, type StepKey, toHostPath, type VolumeName } from '../backend/names.ts';
import type { ActiveSnapshot, CacheCopy, PrepareRequest, Snapshot, Store, Usage } from '../backend/store.ts';
import type { Volume, Volumes } from '../backend/volume.ts';

/** A store for tests of programs that embed Snapstep. */
export interface MemoryStore extends Store {
  readonly name: 'memory';
  /** Volumes that are mounted now: 0 when nobody uses the store. */
  readonly mounted: number;
}

/**
 * A store that knows what it holds only in memory: the files are in a temporary directory, which goes when the
 * store is disposed. It keeps names, contents, modes, links and times, and needs no privileges.
 */
export async function memoryStore(): Promise<MemoryStore> {
  return new TemporaryStore(toHostPath(await mkdtemp(join(tmpdir(), 'snapstep-memory-'))));
}

class TemporaryStore implements MemoryStore {
  readonly name = 'memory';
  mounted = 0;
  readonly caches: Store['caches'];
  readonly #root: HostPath;
  readonly #snapshots = new Map<StepKey, Snapshot>();
  readonly #newest = new Map<CacheId, HostPath>();

  constructor(root: HostPath) {
    this.#root = root;
    this.caches = {
      checkOut: async (id, owner) => {
        const path = this.#fresh();
        const newest = this.#newest.get(id);
        if (newest !== undefined) await copy(newest, path);
        else {
          await mkdir(path);
          if (process.getuid?.() === 0) await chown(path, owner.uid, owner.gid);
        }
        return ok(this.#cacheCopy(id, path));
      },
      remove: async (id) => {
        const newest = this.#newest.get(id);
        this.#newest.delete(id);
        if (newest !== undefined) await rm(newest, { recursive: true });
        return ok();
      },
      list: async () => ok([...this.#newest.keys()]),
    };
  }

  async lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    return ok(this.#snapshots.get(key));
  }

  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    if (signal.aborted) return err(cancelled(signal));
    if ('baseImage' in from) return err({ type: 'failed', message: 'the memory store holds no base images' });
    const path = this.#fresh();
    if ('empty' in from) {
      for (const name of from.empty) await mkdir(join(path, name), { recursive: true });
      return ok(this.#active(key, { path, names: from.empty }));
    }
    const parent = this.#snapshots.get(from.snapshot);
    if (parent === undefined) {
      return err({ type: 'not-found', key: from.snapshot, message: `there is no snapshot ${from.snapshot}` });
    }
    await copy(this.#saved(from.snapshot), path);
    return ok(this.#active(key, { path, names: [...parent.volumes.keys()] }));
  }

  async remove(key: StepKey): Promise<Result<void, StoreError>> {
    this.#snapshots.delete(key);
    await rm(this.#saved(key), { recursive: true, force: true });
    return ok();
  }

  async reclaimed(): Promise<Result<void, StoreError>> {
    return ok();
  }

  async list(): Promise<Result<readonly StepKey[], StoreError>> {
    return ok([...this.#snapshots.keys()]);
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    return ok([
      { axis: 'objects', used: this.#snapshots.size },
      { axis: 'mounts', used: this.mounted },
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#root, { recursive: true, force: true });
  }

  #active(
    key: StepKey,
    at: { readonly path: HostPath; readonly names: readonly VolumeName[] },
  ): ActiveSnapshot {
    let isCommitted = false;
    return {
      volumes: this.#volumes(at.path, at.names),
      commit: async () => {
        if (isCommitted) throw new Error('commit was called twice');
        isCommitted = true;
        await rename(at.path, this.#saved(key));
        const snapshot = { key, volumes: this.#volumes(this.#saved(key), at.names) };
        this.#snapshots.set(key, snapshot);
        return ok(snapshot);
      },
      [Symbol.asyncDispose]: async () => {
        if (!isCommitted) await rm(at.path, { recursive: true, force: true });
      },
    };
  }

  #cacheCopy(id: CacheId, path: HostPath): CacheCopy {
    let isPublished = false;
    return {
      volume: this.#volume('cache' as VolumeName, path),
      changed: async () => ok(true),
      publish: async () => {
        const old = this.#newest.get(id);
        this.#newest.set(id, path);
        isPublished = true;
        if (old !== undefined) await rm(old, { recursive: true });
        return ok();
      },
      [Symbol.asyncDispose]: async () => {
        if (!isPublished) await rm(path, { recursive: true, force: true });
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

  #fresh(): HostPath {
    return toHostPath(join(this.#root, randomUUID()));
  }

  #saved(key: StepKey): HostPath {
    return toHostPath(join(this.#root, key));
  }
}

function copy(from: string, to: string): Promise<void> {
  return cp(from, to, { recursive: true, verbatimSymlinks: true, preserveTimestamps: true });
}
