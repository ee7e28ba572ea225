import { cancelled, err, ok, type Result, type StoreError, type VolumeName } from '@snapstep/core/backend';
import createDebug from 'debug';
import { DatasetVolume, type DatasetVolumes } from './dataset-volume.ts';
import { snapshotOf, volumeOf, volumeProperties } from './layout.ts';
import type { Place } from './place.ts';

const debug = createDebug('snapstep:store-zfs');

export interface WorkingCopyRequest {
  /** The dataset to make, which must not exist. Its volumes are below it. */
  readonly dataset: string;
  /** What each volume starts from: the dataset of a saved volume, or undefined for an empty one. */
  readonly volumes: ReadonlyMap<VolumeName, string | undefined>;
  readonly signal: AbortSignal;
}

/** Makes volumes to write to. A failure leaves nothing. */
export async function makeWorkingCopy(
  place: Place,
  request: WorkingCopyRequest,
): Promise<Result<WorkingCopy, StoreError>> {
  const { dataset, signal } = request;
  // What an earlier attempt left behind, if there is anything.
  const freed = await place.trash.free(dataset);
  if (freed.isErr()) return err(freed.error);
  const made = new Map<VolumeName, DatasetVolume>();
  const copy = new WorkingCopy(place, { dataset, volumes: made });
  for (const [name, source] of request.volumes) {
    const volume = signal.aborted
      ? err(cancelled(signal))
      : await makeVolume(place, { dataset, name, source });
    if (volume.isErr()) {
      await copy.drop();
      return err(volume.error);
    }
    made.set(name, volume.value);
  }
  if (!signal.aborted) return ok(copy);
  await copy.drop();
  return err(cancelled(signal));
}

/** Volumes that are being written to. It ends by {@link save}, or by {@link drop}. */
export class WorkingCopy {
  readonly dataset: string;
  readonly volumes: DatasetVolumes;
  readonly #place: Place;
  #hasEnded = false;
  #limit: number | undefined;
  #wasUsedUp = false;

  constructor(
    place: Place,
    parts: { readonly dataset: string; readonly volumes: ReadonlyMap<VolumeName, DatasetVolume> },
  ) {
    this.#place = place;
    this.dataset = parts.dataset;
    this.volumes = parts.volumes;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** Bounds what the volumes take together, beyond what they were cloned from. */
  async limit(bytes: number): Promise<Result<void, StoreError>> {
    const set = await this.#place.zfs.set({ quota: `${bytes}` }, this.dataset);
    if (set.isOk()) this.#limit = bytes;
    return set;
  }

  /** ZFS refuses a write, for the quota, only where what is on disk has reached it and nothing is about to be freed. */
  async isUsedUp(): Promise<Result<boolean, StoreError>> {
    if (this.#limit === undefined || this.#hasEnded) return ok(this.#wasUsedUp);
    const limit = this.#limit;
    return (await this.#place.zfs.space(this.dataset)).map(({ used }) => used >= limit);
  }

  /**
   * Saves all volumes in one transaction. Which they are stands on the snapshot itself, so that one that is
   * destroyed half is told from a whole one.
   */
  async save(): Promise<Result<void, StoreError>> {
    const names = [...this.volumes.keys()].join(',');
    const properties = { 'snapstep:volumes': names };
    for (const volume of this.volumes.values()) volume.beginSave();
    const saved = await this.#place.zfs.snapshot(snapshotOf(this.dataset), { properties, recursive: true });
    if (saved.isErr()) {
      this.#wasUsedUp = (await this.isUsedUp()).unwrapOr(false);
      await this.drop();
      return saved;
    }
    this.#hasEnded = true;
    for (const volume of this.volumes.values()) volume.seal();
    return ok();
  }

  async drop(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.discard();
  }

  /** Takes the volumes away from whoever has them mounted. */
  async close(): Promise<Result<void, StoreError>> {
    for (const volume of this.volumes.values()) {
      const closed = await volume.close();
      if (closed.isErr()) return closed;
    }
    return ok();
  }

  /** Destroys it, also when it is saved. */
  async discard(): Promise<void> {
    const closed = await this.close();
    const discarded = await this.#place.trash.discard(this.dataset);
    for (const done of [closed, discarded]) {
      if (done.isErr()) debug('%s is left for the next open: %o', this.dataset, done.error);
    }
  }
}

async function makeVolume(
  { layout, zfs, mounts }: Place,
  request: { readonly dataset: string; readonly name: VolumeName; readonly source: string | undefined },
): Promise<Result<DatasetVolume, StoreError>> {
  const dataset = volumeOf(request.dataset, request.name);
  const mountpoint = layout.mountPoint();
  const properties = volumeProperties(mountpoint);
  const made =
    request.source === undefined
      ? await zfs.create(dataset, { properties, parents: true })
      : await zfs.clone(snapshotOf(request.source), dataset, properties);
  return made.map(
    () => new DatasetVolume(mounts, { name: request.name, dataset, mountpoint, isWritable: true }),
  );
}
