import { ok, type Result, type Snapshot, type StepKey, type StoreError } from '@snapstep/core/backend';
import { hasDependents } from './commands.ts';
import { DatasetVolume, type DatasetVolumes } from './dataset-volume.ts';
import type { VolumeRow } from './inventory.ts';
import type { Place } from './place.ts';

/** The saved snapshots, known since the store was opened: looking one up asks nobody. */
export class SavedSnapshots {
  readonly #place: Place;
  readonly #saved: Map<StepKey, DatasetVolumes>;

  constructor(place: Place, rows: ReadonlyMap<StepKey, readonly VolumeRow[]>) {
    this.#place = place;
    this.#saved = new Map([...rows].map(([key, volumes]) => [key, this.#volumesOf(volumes)]));
  }

  get keys(): readonly StepKey[] {
    return [...this.#saved.keys()];
  }

  get objects(): number {
    return [...this.#saved.values()].reduce((sum, volumes) => sum + objectsOf(volumes.size), 0);
  }

  volumes(key: StepKey): DatasetVolumes | undefined {
    return this.#saved.get(key);
  }

  get(key: StepKey): Snapshot | undefined {
    const volumes = this.#saved.get(key);
    return volumes && { key, volumes };
  }

  add(key: StepKey, volumes: DatasetVolumes): Snapshot {
    this.#saved.set(key, volumes);
    return { key, volumes };
  }

  /** Somebody else destroyed it, or a part of it. What is left goes before the key is used again. */
  forget(key: StepKey): void {
    this.#saved.delete(key);
    this.#place.trash.add([this.#place.layout.result(key)]);
  }

  /**
   * `busy`, and nothing is changed, while something that stays was made from it (Z17). After any other failure it is
   * gone for users, and the next removal, attempt or open goes on with what is left (Z16).
   */
  async remove(key: StepKey): Promise<Result<void, StoreError>> {
    const { layout, trash } = this.#place;
    const volumes = this.#saved.get(key);
    if (volumes === undefined) return trash.free(layout.result(key));
    const destroyed = await this.#destroy(key);
    if (destroyed.isErr() && hasDependents(destroyed.error)) return destroyed;
    this.#saved.delete(key);
    for (const volume of volumes.values()) await volume.close();
    return destroyed;
  }

  async #destroy(key: StepKey): Promise<Result<void, StoreError>> {
    const { layout, trash } = this.#place;
    const dataset = layout.result(key);
    const destroyed = await trash.destroy(dataset);
    if (destroyed.isOk()) return ok();
    if (!hasDependents(destroyed.error)) return trash.hide(dataset, destroyed.error);
    await trash.sweep();
    return trash.destroy(dataset);
  }

  #volumesOf(rows: readonly VolumeRow[]): DatasetVolumes {
    return new Map(
      rows.map((row) => [row.name, new DatasetVolume(this.#place.mounts, { ...row, isWritable: false })]),
    );
  }
}

/** Datasets and their snapshots: one for each volume, and one above them. */
export function objectsOf(volumes: number): number {
  return 2 * (1 + volumes);
}
