import {
  type ActiveSnapshot,
  type CacheId,
  type CacheVolumes,
  cancelled,
  detachBelow,
  diskUsage,
  err,
  failed,
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
import createDebug from 'debug';
import { OverlayActive } from './active-snapshot.ts';
import { OverlayCaches } from './cache-volumes.ts';
import type { Records } from './records.ts';
import { type Place, savedVolumes } from './saved-volume.ts';
import { makeWritable, type WritableOptions, type WritableVolume } from './writable-volume.ts';

const debug = createDebug('snapstep:store-overlayfs');
const ROOT = { uid: 0, gid: 0 };

export interface OverlayfsStoreParts {
  readonly place: Place;
  readonly lock: OwnerLock;
  readonly snapshots: Records<StepKey>;
  readonly caches: Records<CacheId>;
  readonly maxLayers: number;
}

/** Each method as {@link Store} says. */
export class OverlayfsStore implements Store {
  readonly name = 'overlayfs';
  readonly caches: CacheVolumes;
  readonly pairing: Pairing;
  readonly #parts: OverlayfsStoreParts;

  constructor(parts: OverlayfsStoreParts) {
    this.#parts = parts;
    this.pairing = pairingIn(parts.lock.directory);
    this.caches = new OverlayCaches(parts);
  }

  async lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    const found = this.#parts.snapshots.get(key);
    return ok(found && { key, volumes: savedVolumes(this.#parts.place, found) });
  }

  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    if (signal.aborted) return err(cancelled(signal));
    const starts = this.#startingPoints(from);
    if (starts.isErr()) return err(starts.error);
    const { place, snapshots, maxLayers } = this.#parts;
    const writable: WritableVolume[] = [];
    for (const start of starts.value) {
      const volume = await makeWritable(place, { ...start, maxLayers, signal });
      if (volume.isErr()) {
        for (const made of writable) await made.end();
        return err(volume.error);
      }
      writable.push(volume.value);
    }
    return ok(new OverlayActive({ place, snapshots, key, writable }));
  }

  async remove(key: StepKey, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return this.#parts.snapshots.remove(key, signal);
  }

  async reclaimed(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return this.#parts.place.layout.workspace.finishDiscards(signal);
  }

  async list(): Promise<Result<readonly StepKey[], StoreError>> {
    return ok(this.#parts.snapshots.keys());
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    const { place, snapshots, caches } = this.#parts;
    const objects = snapshots.keys().length + caches.keys().length;
    const disk = await diskUsage(place.layout.layers);
    return disk.map((axes) => [...axes, { axis: 'objects', used: objects }]);
  }

  sync(): Promise<Result<void, StoreError>> {
    return syncDisk(this.#parts.place.layout.layers);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const detached = await detachBelow(this.#parts.place.layout.workspace.session);
    if (detached.isErr()) debug('left for the next open: %o', detached.error);
    await this.#parts.lock[Symbol.asyncDispose]();
  }

  #startingPoints(
    from: PrepareRequest['from'],
  ): Result<readonly Pick<WritableOptions, 'name' | 'from'>[], StoreError> {
    if ('empty' in from) return ok(from.empty.map((name) => ({ name, from: ROOT })));
    if ('baseImage' in from) return err(failed('this store holds no base images of its own'));
    const key = from.snapshot;
    const parent = this.#parts.snapshots.get(key);
    if (parent === undefined) return err({ type: 'not-found', key, message: `there is no snapshot ${key}` });
    return ok([...parent].map(([name, ids]) => ({ name, from: ids })));
  }
}
