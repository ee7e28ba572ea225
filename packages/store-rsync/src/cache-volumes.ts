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
import type { CopyTree } from './copy-tree.ts';
import { makeEmptyDirectory } from './empty-directory.ts';
import type { Layout } from './layout.ts';

const debug = createDebug('snapstep:store-rsync');

/** Each cache is one directory; a copy is a directory of the session. */
export class DirectoryCaches implements CacheVolumes {
  readonly #parts: { readonly layout: Layout; readonly copy: CopyTree };

  constructor(parts: { readonly layout: Layout; readonly copy: CopyTree }) {
    this.#parts = parts;
  }

  async checkOut(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    const { layout, copy } = this.#parts;
    const newest = layout.cacheVersion(id);
    const directory = layout.attempt('cache');
    const stats = await attemptExisting(stat(newest));
    if (stats.isErr()) return err(stats.error);
    const filled = stats.value
      ? await copy(newest, directory, {})
      : await makeEmptyDirectory(directory, owner);
    if (filled.isOk()) return ok(new DirectoryCacheCopy({ layout, newest, directory }));
    await layout.discard(directory);
    return err(filled.error);
  }

  async remove(id: CacheId): Promise<Result<void, StoreError>> {
    return this.#parts.layout.discard(this.#parts.layout.cacheVersion(id));
  }

  async list(): Promise<Result<readonly CacheId[], StoreError>> {
    const names = await attempt(readdir(this.#parts.layout.cache));
    return names.map((found) =>
      found
        .map(unescapeName)
        .filter((id) => id !== undefined)
        .map(toCacheId),
    );
  }
}

interface CopyParts {
  readonly layout: Layout;
  readonly newest: string;
  readonly directory: string;
}

class DirectoryCacheCopy implements CacheCopy {
  readonly volume: Volume;
  readonly #parts: CopyParts;
  #ended = false;

  constructor(parts: CopyParts) {
    this.#parts = parts;
    this.volume = directoryVolume(toVolumeName('cache'), parts.directory);
  }

  /** Always true: no property of a directory tree proves that nothing was written within one clock tick. */
  async changed(): Promise<Result<boolean, StoreError>> {
    return ok(true);
  }

  /** Two renames. Between them there is no version at all, so a crash there leaves the cache empty. */
  async publish(): Promise<Result<void, StoreError>> {
    if (this.#ended) throw new Error('the cache copy has already been published or disposed');
    const { layout, newest, directory } = this.#parts;
    const old = layout.attempt('old-cache');
    const moved = await attemptExisting(rename(newest, old));
    if (moved.isErr()) return moved;
    const published = await attempt(rename(directory, newest));
    if (published.isErr()) {
      await attemptExisting(rename(old, newest));
      return published;
    }
    this.#ended = true;
    const dropped = await layout.discard(old);
    if (dropped.isErr()) debug('the replaced version is left for later: %o', dropped.error);
    return ok();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ended) return;
    this.#ended = true;
    const dropped = await this.#parts.layout.discard(this.#parts.directory);
    if (dropped.isErr()) debug('left for the next open: %o', dropped.error);
  }
}
