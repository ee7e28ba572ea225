import { existsSync } from 'node:fs';
import { mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  attempt,
  attemptExisting,
  err,
  HomeDisk,
  makePrivateDirectory,
  ok,
  type Result,
  type StoreError,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import type { Layout } from './layout.ts';

const debug = createDebug('snapstep:store-overlayfs');

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
  readonly #home: HomeDisk;
  readonly #holders = new Map<string, number>();
  #last = 0;
  /** While it is made again: for all who need it. */
  #bottom: Promise<Result<void, StoreError>> | undefined;

  constructor(layout: Layout) {
    this.#layout = layout;
    this.#home = new HomeDisk(dirname(layout.layers));
  }

  /** The names of all layers there are, also of those that a killed process had not come to use. */
  async start(): Promise<Result<ReadonlySet<string>, StoreError>> {
    const bottom = await this.#makeBottom();
    if (bottom.isErr()) return err(bottom.error);
    const entries = await attempt(readdir(this.#layout.layers, { withFileTypes: true }));
    if (entries.isErr()) return err(entries.error);
    const found = entries.value.filter((entry) => entry.isDirectory() && isLayerId(entry.name));
    const foreign = entries.value.filter((entry) => !found.includes(entry));
    await this.#discardAll(foreign.map(({ name }) => name));
    const ids = found.map(({ name }) => name);
    this.#last = Math.max(0, ...ids.map((id) => Number.parseInt(id, 36)));
    return ok(new Set(ids));
  }

  /** What cannot be deleted only takes space. */
  async removeUnheld(found: ReadonlySet<string>): Promise<void> {
    await this.#discardAll([...found].filter((id) => id !== BOTTOM && !this.#holders.has(id)));
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

  /** Whether nobody has taken one of them away. With their disk they may come back. */
  areThere(ids: LayerIds): boolean {
    return ids.every((id) => existsSync(join(this.#layout.layers, id))) || !this.#home.isThere;
  }

  /** Makes the bottom again if somebody took it away. */
  async haveBottom(): Promise<Result<void, StoreError>> {
    if (this.areThere([BOTTOM])) return ok();
    this.#bottom ??= this.#remakeBottom().finally(() => {
      this.#bottom = undefined;
    });
    return this.#bottom;
  }

  async #remakeBottom(): Promise<Result<void, StoreError>> {
    const made = await makePrivateDirectory(this.#layout.layers);
    return made.isErr() ? made : this.#makeBottom();
  }

  /** What somebody has put into it would be in every volume. */
  async #makeBottom(): Promise<Result<void, StoreError>> {
    const path = join(this.#layout.layers, BOTTOM);
    const names = await attemptExisting(readdir(path));
    if (names.isOk() && names.value?.length === 0) return ok();
    const discarded = await this.#layout.workspace.discard(path);
    return discarded.isErr() ? discarded : attempt(mkdir(path));
  }

  async #discardAll(names: readonly string[]): Promise<void> {
    for (const name of names) {
      const removed = await this.#layout.workspace.discard(join(this.#layout.layers, name));
      if (removed.isErr()) debug('%s is left for the next open: %o', name, removed.error);
    }
  }

  #letGo(id: string): boolean {
    const left = (this.#holders.get(id) ?? 0) - 1;
    if (left > 0) this.#holders.set(id, left);
    else this.#holders.delete(id);
    return left === 0;
  }
}

/** A number in base 36, as {@link Layers.adopt} writes it: small enough for another to be added. */
function isLayerId(name: string): boolean {
  const id = Number.parseInt(name, 36);
  return Number.isSafeInteger(id + 1) && id.toString(36) === name;
}
