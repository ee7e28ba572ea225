import {
  type ActiveSnapshot,
  err,
  ok,
  type Result,
  type Snapshot,
  type StepKey,
  type StoreError,
  type Volumes,
} from '@snapstep/core/backend';
import type { SavedSnapshots } from './saved-snapshots.ts';
import type { WorkingCopy } from './working-copy.ts';

/** Volumes below `result/KEY`, which one recursive snapshot makes a saved snapshot of. */
export class ZfsActive implements ActiveSnapshot {
  readonly volumes: Volumes;
  readonly copy: WorkingCopy;
  readonly #saved: SavedSnapshots;
  readonly #key: StepKey;

  constructor(saved: SavedSnapshots, parts: { readonly key: StepKey; readonly copy: WorkingCopy }) {
    this.#saved = saved;
    this.#key = parts.key;
    this.copy = parts.copy;
    this.volumes = parts.copy.volumes;
  }

  async commit(): Promise<Result<Snapshot, StoreError>> {
    if (this.copy.hasEnded) throw new Error(`the active snapshot of ${this.#key} has already ended`);
    const saved = await this.copy.save();
    return saved.isErr() ? err(saved.error) : ok(this.#saved.add(this.#key, this.copy.volumes));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.copy.drop();
  }
}
