import { rename } from 'node:fs/promises';
import {
  type ActiveSnapshot,
  attempt,
  err,
  type Result,
  type Snapshot,
  type StepKey,
  type StoreError,
  type Volumes,
  volumesIn,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { setReadOnly } from './btrfs.ts';
import type { Layout } from './layout.ts';

const debug = createDebug('snapstep:store-btrfs');

interface ActiveParts {
  readonly layout: Layout;
  readonly key: StepKey;
  readonly subvolume: string;
  readonly volumes: Volumes;
}

/** A writable subvolume. Saving sets it read-only, then gives it its key as its name. */
export class SubvolumeActive implements ActiveSnapshot {
  readonly volumes: Volumes;
  readonly #parts: ActiveParts;
  #ended = false;

  constructor(parts: ActiveParts) {
    this.#parts = parts;
    this.volumes = parts.volumes;
  }

  async commit(): Promise<Result<Snapshot, StoreError>> {
    if (this.#ended) throw new Error(`the active snapshot of ${this.#parts.key} has already ended`);
    this.#ended = true;
    const saved = await this.#publish();
    if (saved.isErr()) await this.#drop();
    return saved;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    await this.#drop();
  }

  async #publish(): Promise<Result<Snapshot, StoreError>> {
    const { layout, key, subvolume } = this.#parts;
    const frozen = await setReadOnly(subvolume);
    if (frozen.isErr()) return err(frozen.error);
    const published = await attempt(rename(subvolume, layout.snapshot(key)));
    if (published.isErr()) return err(published.error);
    return (await volumesIn(layout.snapshot(key))).map((volumes) => ({ key, volumes }));
  }

  async #drop(): Promise<void> {
    const dropped = await this.#parts.layout.discard(this.#parts.subvolume);
    if (dropped.isErr()) debug('left for the next open: %o', dropped.error);
  }
}
