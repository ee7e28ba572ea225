import { readdir, rename, stat } from 'node:fs/promises';
import {
  attempt,
  attemptExisting,
  type CacheCopy,
  type CacheId,
  type CacheVolumes,
  directoryVolume,
  err,
  type Owner,
  ok,
  type Result,
  type StoreError,
  toCacheId,
  toVolumeName,
  unescapeName,
  type Volume,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { createSubvolume, generationsOf, snapshot, syncFileSystem } from './btrfs.ts';
import { makeOpen } from './empty-directory.ts';
import type { Layout } from './layout.ts';

const debug = createDebug('snapstep:store-btrfs');

/** Each cache is a writable subvolume that nobody writes to; a copy is a snapshot of it in the session. */
export class SubvolumeCaches implements CacheVolumes {
  readonly #layout: Layout;

  constructor(layout: Layout) {
    this.#layout = layout;
  }

  async checkOut(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    const newest = this.#layout.cacheVersion(id);
    const subvolume = this.#layout.cacheAttempt();
    const stats = await attemptExisting(stat(newest));
    if (stats.isErr()) return err(stats.error);
    const isNew = stats.value === undefined;
    const filled = isNew ? await createEmpty(subvolume, owner) : await snapshot(newest, subvolume);
    if (filled.isOk()) {
      return ok(new SubvolumeCacheCopy({ layout: this.#layout, newest, subvolume, isNew }));
    }
    await this.#layout.discard(subvolume);
    return err(filled.error);
  }

  async remove(id: CacheId): Promise<Result<void, StoreError>> {
    return this.#layout.discard(this.#layout.cacheVersion(id));
  }

  async list(): Promise<Result<readonly CacheId[], StoreError>> {
    const names = await attempt(readdir(this.#layout.cache));
    return names.map((found) =>
      found
        .map(unescapeName)
        .filter((id) => id !== undefined)
        .map(toCacheId),
    );
  }
}

async function createEmpty(subvolume: string, owner: Owner): Promise<Result<void, StoreError>> {
  const made = await createSubvolume(subvolume);
  return made.isErr() ? made : makeOpen(subvolume, owner);
}

interface CopyParts {
  readonly layout: Layout;
  readonly newest: string;
  readonly subvolume: string;
  readonly isNew: boolean;
}

class SubvolumeCacheCopy implements CacheCopy {
  readonly volume: Volume;
  readonly #parts: CopyParts;
  #ended = false;

  constructor(parts: CopyParts) {
    this.#parts = parts;
    this.volume = directoryVolume(toVolumeName('cache'), parts.subvolume);
  }

  /**
   * Making a snapshot ends a transaction, so whatever is written later belongs to a higher generation than
   * the one the snapshot was made in. An empty subvolume is made within a transaction: it says nothing.
   */
  async changed(): Promise<Result<boolean, StoreError>> {
    if (this.#parts.isNew) return ok(true);
    const written = await syncFileSystem(this.#parts.subvolume);
    if (written.isErr()) return err(written.error);
    return (await generationsOf(this.#parts.subvolume)).map(({ created, current }) => created !== current);
  }

  /** Two renames. Between them there is no version at all, so a crash there leaves the cache empty. */
  async publish(): Promise<Result<void, StoreError>> {
    if (this.#ended) throw new Error('the cache copy has already been published or disposed');
    const { layout, newest, subvolume } = this.#parts;
    const old = layout.cacheAttempt();
    const moved = await attemptExisting(rename(newest, old));
    if (moved.isErr()) return moved;
    const published = await attempt(rename(subvolume, newest));
    if (published.isErr()) {
      await attemptExisting(rename(old, newest));
      return published;
    }
    this.#ended = true;
    const dropped = await layout.discard(old);
    if (dropped.isErr()) debug('the replaced version is left for the next open: %o', dropped.error);
    return ok();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const dropped = await this.#parts.layout.discard(this.#parts.subvolume);
    if (dropped.isErr()) debug('left for the next open: %o', dropped.error);
  }
}
