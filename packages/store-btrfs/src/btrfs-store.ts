import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ActiveSnapshot,
  attempt,
  attemptExisting,
  type CacheVolumes,
  err,
  failed,
  isStepKey,
  type OwnerLock,
  ok,
  type PrepareRequest,
  type Result,
  type Snapshot,
  type StepKey,
  type Store,
  type StoreError,
  type Usage,
  type VolumeName,
  volumesIn,
} from '@snapstep/core/backend';
import { SubvolumeActive } from './active-snapshot.ts';
import { createSubvolume, fileSystemUsage, snapshot, waitForDeleted } from './btrfs.ts';
import { SubvolumeCaches } from './cache-volumes.ts';
import { makeOpen } from './empty-directory.ts';
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
  readonly #parts: BtrfsStoreParts;

  constructor(parts: BtrfsStoreParts) {
    this.#parts = parts;
    this.caches = new SubvolumeCaches(parts.layout);
  }

  async lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    const subvolume = this.#parts.layout.snapshot(key);
    const stats = await attemptExisting(stat(subvolume));
    if (stats.isErr()) return err(stats.error);
    if (stats.value === undefined) return ok(undefined);
    return (await volumesIn(subvolume)).map((volumes) => ({ key, volumes }));
  }

  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    const { layout } = this.#parts;
    const subvolume = layout.active(key);
    const made =
      'snapshot' in from
        ? await this.#snapshotParent(from.snapshot, { subvolume, signal })
        : 'empty' in from
          ? await makeEmptyVolumes(subvolume, { names: from.empty, signal })
          : err(failed('this store holds no base images of its own'));
    const volumes = made.isOk() ? await volumesIn(subvolume) : err(made.error);
    if (volumes.isOk()) return ok(new SubvolumeActive({ layout, key, subvolume, volumes: volumes.value }));
    await layout.discard(subvolume);
    return err(volumes.error);
  }

  async remove(key: StepKey, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return this.#parts.layout.discard(this.#parts.layout.snapshot(key), signal);
  }

  async reclaimed(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const { layout, reclaimTimeoutMs } = this.#parts;
    if (!layout.takePendingSpace()) return ok();
    const timeout = AbortSignal.timeout(reclaimTimeoutMs);
    const either = signal ? AbortSignal.any([signal, timeout]) : timeout;
    const waited = await waitForDeleted(layout.result, { signal: either });
    if (waited.isOk()) return waited;
    layout.expectSpace();
    if (waited.error.type !== 'cancelled' || signal?.aborted) return waited;
    const message = `${layout.result}: what was deleted still takes space after ${reclaimTimeoutMs} ms`;
    return err({ type: 'busy', message });
  }

  async list(): Promise<Result<readonly StepKey[], StoreError>> {
    return (await attempt(readdir(this.#parts.layout.result))).map((names) => names.filter(isStepKey));
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    const { layout } = this.#parts;
    const text = await fileSystemUsage(layout.result);
    if (text.isErr()) return err(text.error);
    const axes = parseUsage(text.value);
    if (axes.isErr()) return err(axes.error);
    const snapshots = await attempt(readdir(layout.result));
    if (snapshots.isErr()) return err(snapshots.error);
    const caches = await attempt(readdir(layout.cache));
    return caches.map((names) => [
      ...axes.value,
      { axis: 'objects', used: snapshots.value.length + names.length },
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.lock[Symbol.asyncDispose]();
  }

  async #snapshotParent(
    parent: StepKey,
    options: { readonly subvolume: string; readonly signal: AbortSignal },
  ): Promise<Result<void, StoreError>> {
    const source = this.#parts.layout.snapshot(parent);
    const stats = await attemptExisting(stat(source));
    if (stats.isErr()) return err(stats.error);
    if (stats.value === undefined) {
      return err({ type: 'not-found', key: parent, message: `there is no snapshot ${parent}` });
    }
    return snapshot(source, options.subvolume, { signal: options.signal });
  }
}

async function makeEmptyVolumes(
  subvolume: string,
  options: { readonly names: readonly VolumeName[]; readonly signal: AbortSignal },
): Promise<Result<void, StoreError>> {
  const made = await createSubvolume(subvolume, { signal: options.signal });
  if (made.isErr()) return made;
  for (const name of options.names) {
    const volume = await attempt(mkdir(join(subvolume, name)));
    if (volume.isErr()) return volume;
    const opened = await makeOpen(join(subvolume, name));
    if (opened.isErr()) return opened;
  }
  return ok();
}
