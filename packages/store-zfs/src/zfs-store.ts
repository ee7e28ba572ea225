import {
  type ActiveSnapshot,
  type CacheVolumes,
  cancelled,
  err,
  failed,
  type OwnerLock,
  ok,
  type Pairing,
  type PrepareRequest,
  type Result,
  type Snapshot,
  type StepKey,
  type StoreError,
  type StoreFeature,
  type StoreFeatures,
  type StoreWith,
  type Usage,
  type VolumeName,
} from '@snapstep/core/backend';
import { ZfsActive } from './active-snapshot.ts';
import { BaseImages } from './base-images.ts';
import { DatasetCaches } from './cache-volumes.ts';
import { type Commands, isMissing } from './commands.ts';
import type { DatasetVolumes } from './dataset-volume.ts';
import type { Inventory } from './inventory.ts';
import type { Place } from './place.ts';
import { placement } from './placement.ts';
import { quota } from './quota.ts';
import { waitForFreeing } from './reclaim.ts';
import { objectsOf, SavedSnapshots } from './saved-snapshots.ts';
import { Transfer } from './transfer.ts';
import { makeWorkingCopy } from './working-copy.ts';

export interface ZfsStoreParts {
  readonly place: Place;
  readonly lock: OwnerLock;
  readonly commands: Commands;
  readonly inventory: Inventory;
  /** What the dataset remembers of its builder. */
  readonly pairedWith: string | undefined;
  readonly maxObjects: number;
  readonly maxMounts: number;
}

/** The property of the store's dataset that names its builder. */
export const PAIRED = 'snapstep:paired-with';

/** Each method as `Store` says. */
export class ZfsStore implements StoreWith<StoreFeature> {
  readonly name = 'zfs';
  readonly caches: CacheVolumes;
  readonly pairing: Pairing;
  readonly placement: StoreFeatures['placement'];
  readonly quota: StoreFeatures['quota'];
  readonly transfer: StoreFeatures['transfer'];
  readonly baseImages: BaseImages;
  readonly #parts: ZfsStoreParts;
  readonly #saved: SavedSnapshots;
  readonly #caches: DatasetCaches;

  constructor(parts: ZfsStoreParts) {
    const { place, inventory } = parts;
    this.#parts = parts;
    this.#saved = new SavedSnapshots(place, inventory.results);
    this.#caches = new DatasetCaches(place, inventory);
    this.caches = this.#caches;
    this.pairing = pairingOf(parts);
    this.placement = placement;
    this.quota = quota();
    this.transfer = new Transfer(place, { saved: this.#saved, hasRoom: () => this.#hasRoom(1) });
    this.baseImages = new BaseImages(place, inventory);
  }

  async lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    return ok(this.#saved.get(key));
  }

  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    if (signal.aborted) return err(cancelled(signal));
    const volumes = this.#sources(from);
    if (volumes.isErr()) return err(volumes.error);
    const room = this.#hasRoom(volumes.value.size);
    if (room.isErr()) return err(room.error);
    const { place } = this.#parts;
    const dataset = place.layout.result(key);
    const copy = await makeWorkingCopy(place, { dataset, volumes: volumes.value, signal });
    if (copy.isErr()) return err(await this.#withoutParent(from, copy.error));
    return ok(new ZfsActive(this.#saved, { key, copy: copy.value }));
  }

  async remove(key: StepKey, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return signal?.aborted ? err(cancelled(signal)) : this.#saved.remove(key);
  }

  async reclaimed(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return waitForFreeing(this.#parts.place, signal);
  }

  async list(): Promise<Result<readonly StepKey[], StoreError>> {
    return ok(this.#saved.keys);
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    const { place, maxObjects, maxMounts } = this.#parts;
    const space = await place.zfs.space(place.layout.dataset);
    const objects = this.#objects;
    return space.map(({ used, available }) => [
      { axis: 'bytes', used, total: used + available },
      { axis: 'objects', used: objects, total: Math.max(maxObjects, objects) },
      { axis: 'mounts', used: place.mounts.count, total: Math.max(maxMounts, place.mounts.count) },
    ]);
  }

  /**
   * OpenZFS answers `zfs snapshot`, `clone`, `rename` and `destroy` once the transaction group is on the disk that holds
   * the change and all that was written before it: what is saved is durable already.
   */
  async sync(): Promise<Result<void, StoreError>> {
    return ok();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const { place, commands, lock } = this.#parts;
    await place.mounts.close();
    await commands.close();
    await lock[Symbol.asyncDispose]();
  }

  get #objects(): number {
    return this.#saved.objects + this.#caches.objects + this.baseImages.objects;
  }

  /** Of what is being made only the one that is asked for counts. */
  #hasRoom(volumes: number): Result<void, StoreError> {
    const { maxObjects } = this.#parts;
    const objects = this.#objects;
    if (objects + objectsOf(volumes) <= maxObjects) return ok();
    const message = `the store has ${objects} datasets and snapshots, and "maxObjects" allows ${maxObjects}`;
    return err({ type: 'no-space', message });
  }

  /** That a parent is gone which was there: somebody else destroyed it, behind the back of the store. */
  async #withoutParent(from: PrepareRequest['from'], error: StoreError): Promise<StoreError> {
    const { zfs, layout } = this.#parts.place;
    if (!('snapshot' in from) || !isMissing(error)) return error;
    // With the whole pool everything is gone, until it is back.
    const top = await zfs.get('mounted', layout.dataset);
    if (top.isErr()) return error;
    const key = from.snapshot;
    this.#saved.forget(key);
    return { type: 'not-found', key, message: `the snapshot ${key} was destroyed by somebody else` };
  }

  #sources(from: PrepareRequest['from']): Result<ReadonlyMap<VolumeName, string | undefined>, StoreError> {
    if ('empty' in from) return ok(new Map(from.empty.map((name) => [name, undefined])));
    if ('baseImage' in from) {
      const image = this.baseImages.volumes(from.baseImage);
      return image
        ? ok(image)
        : err(failed(`the base image "${from.baseImage.name}" is not here, or not that one`));
    }
    const key = from.snapshot;
    const parent = this.#saved.volumes(key);
    if (parent === undefined) return err({ type: 'not-found', key, message: `there is no snapshot ${key}` });
    return ok(datasetsOf(parent));
  }
}

function pairingOf({ place, pairedWith }: ZfsStoreParts): Pairing {
  let known = pairedWith;
  return {
    get: async () => ok(known),
    async set(text) {
      const set = await place.zfs.set({ [PAIRED]: text }, place.layout.dataset);
      if (set.isOk()) known = text;
      return set;
    },
  };
}

function datasetsOf(volumes: DatasetVolumes): ReadonlyMap<VolumeName, string> {
  return new Map([...volumes].map(([name, volume]) => [name, volume.dataset]));
}
