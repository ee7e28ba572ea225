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
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { hasDependents, isMissing } from './commands.ts';
import { DatasetVolume } from './dataset-volume.ts';
import type { Inventory, VersionRow } from './inventory.ts';
import { volumeProperties } from './layout.ts';
import type { Place } from './place.ts';

const debug = createDebug('snapstep:store-zfs');
const CACHE = toVolumeName('cache');

/** A version of a cache: a dataset with one snapshot, from which the copies are cloned. */
type Version = Pick<VersionRow, 'dataset' | 'number'>;

/**
 * Caches are datasets `cache/ID/vNUMBER`. Renaming a copy to the next number publishes it; promoting it then makes it
 * independent of the version that it was cloned from, so that no chain of clones grows.
 */
export class DatasetCaches implements CacheVolumes {
  readonly #place: Place;
  readonly #newest = new Map<CacheId, Version>();
  /** The datasets `cache/ID` that exist. */
  readonly #containers: Set<string>;
  #nextVersion: number;
  #lastPromotion: Promise<unknown> = Promise.resolve();

  constructor(place: Place, { caches, nextVersion }: Inventory) {
    this.#place = place;
    for (const [id, version] of caches) this.#newest.set(id, version);
    this.#containers = new Set([...caches.keys()].map((id) => place.layout.cache(id).dataset));
    this.#nextVersion = nextVersion;
  }

  /** For each cache the dataset above its version, the version, and its snapshot. */
  get objects(): number {
    return 3 * this.#newest.size;
  }

  async checkOut(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    const { layout, zfs, mounts } = this.#place;
    const from = this.#newest.get(id);
    const dataset = layout.attempt(layout.cacheCopies);
    const mountpoint = layout.mountPoint();
    const properties = volumeProperties(mountpoint);
    const made = from
      ? await zfs.clone(`${from.dataset}@v${from.number}`, dataset, properties)
      : await zfs.create(dataset, { properties });
    if (made.isErr() && from !== undefined && isMissing(made.error)) return this.#startAgain(id, owner);
    if (made.isErr()) {
      await this.#place.trash.discard(dataset);
      return err(made.error);
    }
    const parts = { name: CACHE, dataset, mountpoint, isWritable: true, ...(from ? {} : { owner }) };
    const volume = new DatasetVolume(mounts, parts);
    return ok(new DatasetCacheCopy(this, this.#place, { id, volume, from }));
  }

  /** Somebody else destroyed the newest version. A cache may be empty at any time. */
  async #startAgain(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    debug('the cache %o is gone', id);
    const removed = await this.remove(id);
    return removed.isErr() ? err(removed.error) : this.checkOut(id, owner);
  }

  async remove(id: CacheId): Promise<Result<void, StoreError>> {
    const { layout, trash } = this.#place;
    const { dataset } = layout.cache(id);
    if (!this.#containers.has(dataset)) return ok();
    // Copies that are out keep it from being destroyed.
    const discarded = await trash.discard(dataset);
    if (discarded.isErr()) return discarded;
    this.#containers.delete(dataset);
    this.#newest.delete(id);
    return ok();
  }

  async list(): Promise<Result<readonly CacheId[], StoreError>> {
    return ok([...this.#newest.keys()]);
  }

  /** Makes a copy that is not mounted the newest version. */
  async publish(id: CacheId, copy: string, from: Version | undefined): Promise<Result<void, StoreError>> {
    const { zfs } = this.#place;
    const number = this.#nextVersion++;
    const snapped = await zfs.snapshot(`${copy}@v${number}`);
    if (snapped.isErr()) return snapped;
    const container = await this.#makeContainer(id);
    if (container.isErr()) return err(container.error);
    const version = { dataset: `${container.value}/v${number}`, number };
    const published = await zfs.publish(copy, version.dataset);
    if (published.isErr()) return published;
    return this.#replace(id, { version, from });
  }

  async #replace(
    id: CacheId,
    { version, from }: { readonly version: Version; readonly from: Version | undefined },
  ): Promise<Result<void, StoreError>> {
    const { trash } = this.#place;
    const promoted = from ? await this.#promote(version.dataset) : ok();
    if (promoted.isErr()) {
      // The build that used it goes on, with the older version (Z3).
      debug('the new version of the cache %o is lost: %o', id, promoted.error);
      return trash.discard(version.dataset);
    }
    const old = this.#newest.get(id);
    this.#newest.set(id, version);
    // A copy that was taken of it keeps it from being destroyed.
    if (old !== undefined) await trash.discard(old.dataset);
    if (from !== undefined) await this.#dropOrigin(`${version.dataset}@v${from.number}`);
    await this.sweep();
    return ok();
  }

  /** Destroys the versions that a copy kept until now. */
  async sweep(): Promise<void> {
    const { layout, trash } = this.#place;
    await trash.sweep([layout.caches, layout.cacheCopies]);
  }

  /** One at a time (Z4). */
  #promote(dataset: string): Promise<Result<void, StoreError>> {
    const promoted = this.#lastPromotion.then(() => this.#place.zfs.promote(dataset));
    this.#lastPromotion = promoted.catch(() => {});
    return promoted;
  }

  /** It goes with the last copy that was made from it. */
  async #dropOrigin(snapshot: string): Promise<void> {
    const dropped = await this.#place.zfs.destroySnapshot(snapshot);
    if (dropped.isErr() && !hasDependents(dropped.error)) debug('%s stays: %o', snapshot, dropped.error);
  }

  async #makeContainer(id: CacheId): Promise<Result<string, StoreError>> {
    const { dataset, isHashed } = this.#place.layout.cache(id);
    if (this.#containers.has(dataset)) return ok(dataset);
    const properties = {
      canmount: 'off',
      ...(isHashed ? { 'snapstep:id': Buffer.from(id).toString('base64url') } : {}),
    };
    const made = await this.#place.zfs.create(dataset, { properties });
    if (made.isErr()) return err(made.error);
    this.#containers.add(dataset);
    return ok(dataset);
  }
}

class DatasetCacheCopy implements CacheCopy {
  readonly volume: Volume;
  readonly #caches: DatasetCaches;
  readonly #place: Place;
  readonly #id: CacheId;
  readonly #volume: DatasetVolume;
  readonly #from: Version | undefined;
  #hasEnded = false;

  constructor(
    caches: DatasetCaches,
    place: Place,
    parts: { readonly id: CacheId; readonly volume: DatasetVolume; readonly from: Version | undefined },
  ) {
    this.#caches = caches;
    this.#place = place;
    this.#id = parts.id;
    this.volume = parts.volume;
    this.#volume = parts.volume;
    this.#from = parts.from;
  }

  async changed(): Promise<Result<boolean, StoreError>> {
    if (this.#from !== undefined && !this.#volume.wasMounted) return ok(false);
    if (this.#from === undefined || this.#volume.mayBeWritten) return ok(true);
    // Exact once it is unmounted, since that writes out what is in memory.
    const written = await this.#place.zfs.get('written', this.#volume.dataset);
    return written.map((bytes) => bytes !== '0');
  }

  async publish(): Promise<Result<void, StoreError>> {
    if (this.#hasEnded) throw new Error('the cache copy has already been published or disposed');
    this.#hasEnded = true;
    const closed = await this.#volume.close();
    const published = closed.isOk()
      ? await this.#caches.publish(this.#id, this.#volume.dataset, this.#from)
      : closed;
    if (published.isErr()) await this.#discard();
    return published;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.#volume.close();
    await this.#discard();
  }

  async #discard(): Promise<void> {
    const discarded = await this.#place.trash.discard(this.#volume.dataset);
    if (discarded.isErr()) debug('%s is left for the next open: %o', this.#volume.dataset, discarded.error);
    await this.#caches.sweep();
  }
}
