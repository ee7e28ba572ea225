import {
  type CacheCopy,
  type CacheId,
  type CacheVolumes,
  err,
  type Owner,
  ok,
  type Result,
  type StoreError,
  toVolumeName,
  type Volume,
  type VolumeName,
} from '@snapstep/core/backend';
import type { Records } from './records.ts';
import type { Place } from './saved-volume.ts';
import { makeWritable, type WritableVolume } from './writable-volume.ts';

/** What was deleted from a cache stays on the disk in the layers below, so there are few of them. */
const MAX_LAYERS = 8;
const CACHE: VolumeName = toVolumeName('cache');

export interface CacheParts {
  readonly place: Place;
  readonly caches: Records<CacheId>;
}

/** A version of a cache is a list of layers, like a snapshot: a copy costs nothing, and publishing it a rename. */
export class OverlayCaches implements CacheVolumes {
  readonly #parts: CacheParts;

  constructor(parts: CacheParts) {
    this.#parts = parts;
  }

  async checkOut(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    const { place, caches } = this.#parts;
    const from = caches.get(id)?.get(CACHE) ?? owner;
    const volume = await makeWritable(place, { name: CACHE, from, maxLayers: MAX_LAYERS });
    return volume.map((made) => new OverlayCacheCopy(this.#parts, { id, volume: made }));
  }

  async remove(id: CacheId): Promise<Result<void, StoreError>> {
    return this.#parts.caches.remove(id);
  }

  async list(): Promise<Result<readonly CacheId[], StoreError>> {
    return ok(this.#parts.caches.keys());
  }
}

class OverlayCacheCopy implements CacheCopy {
  readonly volume: Volume;
  readonly #parts: CacheParts;
  readonly #id: CacheId;
  readonly #writable: WritableVolume;
  #ended = false;

  constructor(parts: CacheParts, { id, volume }: { readonly id: CacheId; readonly volume: WritableVolume }) {
    this.volume = volume;
    this.#parts = parts;
    this.#id = id;
    this.#writable = volume;
  }

  async changed(): Promise<Result<boolean, StoreError>> {
    return this.#writable.changed();
  }

  async publish(): Promise<Result<void, StoreError>> {
    if (this.#ended) throw new Error('the cache copy has already been published or disposed');
    this.#ended = true;
    const { place, caches } = this.#parts;
    const layers = await this.#writable.keep();
    const saved = layers.isOk() ? await caches.save(this.#id, new Map([[CACHE, layers.value]])) : layers;
    if (layers.isOk()) await place.layers.release(layers.value);
    await this.#writable.end();
    return saved.isOk() ? ok() : err(saved.error);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#writable.end();
  }
}
