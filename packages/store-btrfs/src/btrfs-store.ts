import { readdir } from 'node:fs/promises';
import {
  type ActiveSnapshot,
  attempt,
  type CacheVolumes,
  err,
  type OwnerLock,
  ok,
  type Pairing,
  type PrepareRequest,
  pairingIn,
  type Result,
  type Snapshot,
  type StepKey,
  type Store,
  type StoreError,
  syncDisk,
  type Usage,
} from '@snapstep/core/backend';
import { createSubvolume, fileSystemUsage, setReadOnly, snapshot, waitForDeleted } from './btrfs.ts';
import { subvolumeCaches } from './cache-volumes.ts';
import type { Layout } from './layout.ts';
import { parseUsage } from './usage.ts';

export interface BtrfsStoreParts {
  readonly layout: Layout;
  readonly lock: OwnerLock;
  readonly reclaimTimeoutMs: number;
}

/** Each method as {@link Store} says. */
export class BtrfsStore implements Store {
  readonly name = 'btrfs';
  readonly caches: CacheVolumes;
  readonly pairing: Pairing;
  readonly #parts: BtrfsStoreParts;

  constructor(parts: BtrfsStoreParts) {
    this.#parts = parts;
    this.caches = subvolumeCaches(parts.layout);
    this.pairing = pairingIn(parts.lock.directory);
  }

  lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    return this.#parts.layout.snapshots.lookup(key);
  }

  /** Saving sets the subvolume read-only, then gives it its key as its name. */
  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    const { layout } = this.#parts;
    const path = layout.active(key);
    const discard = (gone: string) => layout.discard(gone);
    const finish = async (draft: string) => (await setReadOnly(draft)).map(() => draft);
    const made = await layout.snapshots.fill(path, from, {
      make: (empty) => createSubvolume(empty, { signal }),
      copy: (parent, to) => snapshot(parent, to, { signal }),
    });
    const active = made.isOk()
      ? await layout.snapshots.activate({ key, path, discard, finish })
      : err(made.error);
    if (active.isErr()) await discard(path);
    return active;
  }

  async remove(key: StepKey, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return this.#parts.layout.remove(key, signal);
  }

  async reclaimed(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const { layout, reclaimTimeoutMs } = this.#parts;
    const finished = await layout.finishDiscards(signal);
    if (finished.isErr()) return finished;
    if (!layout.takePendingSpace()) return ok();
    const timeout = AbortSignal.timeout(reclaimTimeoutMs);
    const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
    const waited = await waitForDeleted(layout.snapshots.path, { signal: either });
    if (waited.isOk()) return waited;
    layout.expectSpace();
    if (waited.error.type !== 'cancelled' || signal?.aborted) return waited;
    const message = `${layout.snapshots.path}: what was deleted still takes space after ${reclaimTimeoutMs} ms`;
    return err({ type: 'busy', message });
  }

  list(): Promise<Result<readonly StepKey[], StoreError>> {
    return this.#parts.layout.snapshots.list();
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    const { layout } = this.#parts;
    const text = await fileSystemUsage(layout.snapshots.path);
    if (text.isErr()) return err(text.error);
    const axes = parseUsage(text.value);
    if (axes.isErr()) return err(axes.error);
    const names = Promise.all([readdir(layout.snapshots.path), readdir(layout.cacheDirectory)]);
    const counts = await attempt(names);
    return counts.map((found) => [...axes.value, { axis: 'objects', used: found.flat().length }]);
  }

  sync(): Promise<Result<void, StoreError>> {
    return syncDisk(this.#parts.layout.snapshots.path);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.lock[Symbol.asyncDispose]();
  }
}
