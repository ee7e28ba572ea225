import {
  type ActiveSnapshot,
  err,
  ok,
  type Result,
  type Snapshot,
  type StepKey,
  type StoreError,
  type VolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import type { LayerIds } from './layers.ts';
import type { Records } from './records.ts';
import { type Place, savedVolumes } from './saved-volume.ts';
import type { WritableVolume } from './writable-volume.ts';

interface ActiveParts {
  readonly place: Place;
  readonly snapshots: Records<StepKey>;
  readonly key: StepKey;
  readonly writable: readonly WritableVolume[];
}

/** Layers in the making, published by one record. */
export class OverlayActive implements ActiveSnapshot {
  readonly volumes: Volumes;
  readonly #parts: ActiveParts;
  #ended = false;

  constructor(parts: ActiveParts) {
    this.#parts = parts;
    this.volumes = new Map(parts.writable.map((volume) => [volume.name, volume]));
  }

  async commit(): Promise<Result<Snapshot, StoreError>> {
    const { place, snapshots, key, writable } = this.#parts;
    if (this.#ended) throw new Error(`the active snapshot of ${key} has already ended`);
    this.#ended = true;
    const volumes = new Map<VolumeName, LayerIds>();
    const saved = await this.#save(volumes);
    // The record holds them now, if there is one.
    await place.layers.release([...volumes.values()].flat());
    for (const volume of writable) await volume.end();
    const record = snapshots.get(key) ?? volumes;
    return saved.map(() => ({ key, volumes: savedVolumes(place, record) }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    for (const volume of this.#parts.writable) await volume.end();
  }

  /** @param kept - Gets what has become a layer, also when it fails later. */
  async #save(kept: Map<VolumeName, LayerIds>): Promise<Result<void, StoreError>> {
    for (const volume of this.#parts.writable) {
      const layers = await volume.keep();
      if (layers.isErr()) return err(layers.error);
      kept.set(volume.name, layers.value);
    }
    const saved = await this.#parts.snapshots.save(this.#parts.key, kept);
    return saved.isOk() ? ok() : err(saved.error);
  }
}
