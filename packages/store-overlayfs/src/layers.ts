import { mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt, err, ok, type Result, type StoreError } from '@snapstep/core/backend';
import type { Layout } from './layout.ts';

/** The layers of one volume, newest first, as overlayfs wants them. */
export type LayerIds = readonly string[];

/** Lies below everything, because an overlay needs something to lie on. Holds nothing, and is never removed. */
export const BOTTOM = '0';
/** The directory of a layer that is the volume. Its mode, owner and times are then copied up like any other's. */
export const INNER = 'v';

/**
 * The layers, and how many hold each: snapshots, caches, writable volumes and mounts. A layer goes with its last
 * holder, so a snapshot can be removed before those that were made from it.
 */
export class Layers {
  readonly #layout: Layout;
  readonly #holders = new Map<string, number>();
  #last = 0;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  /** The names of all layers there are, also of those that a killed process had not come to use. */
  async start(): Promise<Result<ReadonlySet<string>, StoreError>> {
    const made = await attempt(mkdir(join(this.#layout.layers, BOTTOM), { recursive: true }));
    if (made.isErr()) return err(made.error);
    const names = await attempt(readdir(this.#layout.layers));
    if (names.isErr()) return err(names.error);
    this.#last = Math.max(...names.value.map((name) => Number.parseInt(name, 36)));
    return ok(new Set(names.value));
  }

  async removeUnheld(found: ReadonlySet<string>): Promise<Result<void, StoreError>> {
    for (const id of found) {
      if (id === BOTTOM || this.#holders.has(id)) continue;
      const removed = await this.#layout.workspace.discard(join(this.#layout.layers, id));
      if (removed.isErr()) return removed;
    }
    return ok();
  }

  areHeld(ids: LayerIds): boolean {
    return ids.every((id) => this.#holders.has(id));
  }

  hold(ids: LayerIds): void {
    for (const id of ids) this.#holders.set(id, (this.#holders.get(id) ?? 0) + 1);
  }

  /** Every layer is let go, also where deleting one fails: the next open deletes it. */
  async release(ids: LayerIds, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const unheld = ids.filter((id) => this.#letGo(id));
    let outcome: Result<void, StoreError> = ok();
    for (const id of unheld) {
      const removed = await this.#layout.workspace.discard(join(this.#layout.layers, id), signal);
      if (removed.isErr()) outcome = removed;
    }
    return outcome;
  }

  /** Moves a directory in as a layer, which the caller holds. */
  async adopt(directory: string): Promise<Result<string, StoreError>> {
    this.#last += 1;
    const id = this.#last.toString(36);
    const moved = await attempt(rename(directory, join(this.#layout.layers, id)));
    if (moved.isErr()) return err(moved.error);
    this.hold([id]);
    return ok(id);
  }

  #letGo(id: string): boolean {
    const left = (this.#holders.get(id) ?? 0) - 1;
    if (left > 0) this.#holders.set(id, left);
    else this.#holders.delete(id);
    return left === 0;
  }
}
