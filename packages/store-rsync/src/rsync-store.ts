import { readdir } from 'node:fs/promises';
import {
  type ActiveSnapshot,
  attempt,
  type CacheVolumes,
  DirectoryCaches,
  diskUsage,
  err,
  type OwnerLock,
  ok,
  type Pairing,
  type PrepareRequest,
  pairingIn,
  type Result,
  type Snapshot,
  type SnapshotDirectory,
  type StepKey,
  type Store,
  type StoreError,
  syncDisk,
  type Usage,
  type Workspace,
} from '@snapstep/core/backend';
import type { CopyTree } from './copy-tree.ts';
import { linkedCopy } from './link-identical.ts';
import { syncFileSystem } from './sync.ts';

export interface RsyncStoreParts {
  readonly snapshots: SnapshotDirectory;
  readonly cacheDirectory: string;
  readonly workspace: Workspace;
  readonly lock: OwnerLock;
  readonly copy: CopyTree;
  readonly linkIdentical: boolean;
}

/** Each method as {@link Store} says. */
export class RsyncStore implements Store {
  readonly name = 'rsync';
  readonly caches: CacheVolumes;
  readonly pairing: Pairing;
  readonly #parts: RsyncStoreParts;
  #hasRemoved = false;

  constructor(parts: RsyncStoreParts) {
    const { cacheDirectory: directory, workspace } = parts;
    const copy = (from: string, to: string) => parts.copy(from, to, {});
    this.#parts = parts;
    this.pairing = pairingIn(parts.lock.directory);
    this.caches = new DirectoryCaches({ directory, workspace, copy });
  }

  lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    return this.#parts.snapshots.lookup(key);
  }

  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    const { snapshots, workspace, copy } = this.#parts;
    const path = workspace.fresh();
    const discard = (gone: string) => workspace.discard(gone);
    const filled = await snapshots.fill(path, from, {
      copy: (parent, to) => copy(parent, to, { signal }),
    });
    const finish = (draft: string) => this.#linked(draft, from);
    const active = filled.isOk()
      ? await snapshots.activate({ key, path, discard, finish })
      : err(filled.error);
    if (active.isErr()) await discard(path);
    return active;
  }

  async remove(key: StepKey, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    this.#hasRemoved = true;
    return this.#parts.workspace.discard(this.#parts.snapshots.pathOf(key), signal);
  }

  async reclaimed(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const { snapshots, workspace } = this.#parts;
    const finished = await workspace.finishDiscards(signal);
    if (finished.isErr() || !this.#hasRemoved) return finished;
    // Btrfs gives back the space of deleted files with its next transaction, up to half a minute later (B4).
    this.#hasRemoved = false;
    const synced = await syncFileSystem(snapshots.path, signal ? { signal } : {});
    if (synced.isErr()) this.#hasRemoved = true;
    return synced;
  }

  list(): Promise<Result<readonly StepKey[], StoreError>> {
    return this.#parts.snapshots.list();
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    const { snapshots, cacheDirectory } = this.#parts;
    const disk = await diskUsage(snapshots.path);
    if (disk.isErr()) return err(disk.error);
    const counts = await attempt(Promise.all([readdir(snapshots.path), readdir(cacheDirectory)]));
    return counts.map((names) => [...disk.value, { axis: 'objects', used: names.flat().length }]);
  }

  sync(): Promise<Result<void, StoreError>> {
    return syncDisk(this.#parts.snapshots.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.lock[Symbol.asyncDispose]();
  }

  /** Where the store shares identical files with the parent, a copy that does so. */
  async #linked(draft: string, from: PrepareRequest['from']): Promise<Result<string, StoreError>> {
    const { snapshots, workspace, linkIdentical } = this.#parts;
    if (!linkIdentical || !('snapshot' in from)) return ok(draft);
    const linked = workspace.fresh();
    const isSame = await linkedCopy({ from: draft, to: linked, like: snapshots.pathOf(from.snapshot) });
    if (isSame.isOk() && isSame.value) return ok(linked);
    await workspace.discard(linked);
    // What cannot be shared, as in paths that rsync cannot take, is kept apart.
    return isSame.isErr() && isSame.error.type !== 'failed' ? err(isSame.error) : ok(draft);
  }
}
