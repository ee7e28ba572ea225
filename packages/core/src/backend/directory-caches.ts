import { lstat, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import { directoryVolume } from './directory-volume.ts';
import { makeEmptyDirectory } from './empty-directory.ts';
import { escapeName, unescapeName } from './escape-name.ts';
import type { StoreError } from './failures.ts';
import { type CacheId, type Owner, toCacheId, toVolumeName } from './names.ts';
import type { CacheCopy, CacheVolumes } from './store.ts';
import { attempt, attemptExisting } from './store-failure.ts';
import type { Volume } from './volume.ts';
import type { Workspace } from './workspace.ts';

const debug: createDebug.Debugger = createDebug('snapstep:caches');

export interface DirectoryCachesOptions {
  /** Where the newest version of each cache is, on the file system of the workspace. */
  readonly directory: string;
  /** Where the copies are, and where replaced versions go. */
  readonly workspace: Workspace;
  /** Copies a version to a path where nothing is. What a failure leaves there is discarded. */
  readonly copy: (from: string, to: string) => Promise<Result<void, StoreError>>;
  /** Default: {@link makeEmptyDirectory}. */
  readonly makeEmpty?: (path: string, owner: Owner) => Promise<Result<void, StoreError>>;
  /**
   * False only if it is certain that nothing was written to the copy of a version. Default: always true, because no
   * property of a directory tree proves that nothing was written within one clock tick.
   */
  readonly changed?: (path: string) => Promise<Result<boolean, StoreError>>;
  /** Makes a version that a step protected from inside movable again. Called where it could not be renamed. */
  readonly unprotect?: (path: string) => Promise<Result<void, StoreError>>;
}

/** Cache volumes for a store of directories: each version is one, and publishing it two renames. */
export class DirectoryCaches implements CacheVolumes {
  readonly #options: DirectoryCachesOptions;

  constructor(options: DirectoryCachesOptions) {
    this.#options = options;
  }

  async checkOut(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    const { workspace, copy, makeEmpty = makeEmptyDirectory } = this.#options;
    const newest = this.#newest(id);
    const stats = await attemptExisting(lstat(newest));
    if (stats.isErr()) return err(stats.error);
    const path = workspace.fresh();
    const isNew = !stats.value?.isDirectory();
    const filled = isNew ? await makeEmpty(path, owner) : await copy(newest, path);
    if (filled.isOk()) return ok(new DirectoryCacheCopy(this.#options, { newest, path, isNew }));
    await workspace.discard(path);
    return err(filled.error);
  }

  async remove(id: CacheId): Promise<Result<void, StoreError>> {
    const newest = this.#newest(id);
    return insist(this.#options, newest, () => this.#options.workspace.discard(newest));
  }

  async list(): Promise<Result<readonly CacheId[], StoreError>> {
    const names = await attempt(readdir(this.#options.directory));
    return names.map((found) =>
      found
        .map(unescapeName)
        .filter((id) => id !== undefined)
        .map(toCacheId),
    );
  }

  #newest(id: CacheId): string {
    return join(this.#options.directory, escapeName(id));
  }
}

interface CopyPlace {
  readonly newest: string;
  readonly path: string;
  readonly isNew: boolean;
}

class DirectoryCacheCopy implements CacheCopy {
  readonly volume: Volume;
  readonly #options: DirectoryCachesOptions;
  readonly #place: CopyPlace;
  #hasEnded = false;

  constructor(options: DirectoryCachesOptions, place: CopyPlace) {
    this.#options = options;
    this.#place = place;
    this.volume = directoryVolume(toVolumeName('cache'), place.path);
  }

  async changed(): Promise<Result<boolean, StoreError>> {
    const { changed } = this.#options;
    return changed === undefined || this.#place.isNew ? ok(true) : changed(this.#place.path);
  }

  /** Between the two renames there is no version at all, so a crash there leaves the cache empty. */
  async publish(): Promise<Result<void, StoreError>> {
    if (this.#hasEnded) throw new Error('the cache copy has already been published or disposed');
    const { newest, path } = this.#place;
    const { workspace } = this.#options;
    const old = workspace.fresh();
    const moved = await insist(this.#options, newest, () => attemptExisting(rename(newest, old)));
    if (moved.isErr()) return moved;
    const published = await insist(this.#options, path, () => attempt(rename(path, newest)));
    if (published.isErr()) {
      await attemptExisting(rename(old, newest));
      return published;
    }
    this.#hasEnded = true;
    await this.#drop(old);
    return ok();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.#drop(this.#place.path);
  }

  async #drop(path: string): Promise<void> {
    const dropped = await this.#options.workspace.discard(path);
    if (dropped.isErr()) debug('left for the next open: %o', dropped.error);
  }
}

/** Moves a version, once more if it had to be unprotected for that. */
async function insist(
  { unprotect }: DirectoryCachesOptions,
  path: string,
  move: () => Promise<Result<void, StoreError>>,
): Promise<Result<void, StoreError>> {
  const moved = await move();
  if (moved.isOk() || unprotect === undefined || moved.error.type !== 'failed') return moved;
  const unprotected = await unprotect(path);
  return unprotected.isErr() ? moved : move();
}
