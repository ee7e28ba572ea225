import { randomBytes } from 'node:crypto';
import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  attemptExisting,
  detachBelow,
  err,
  type HostPath,
  isStepKey,
  makePrivateDirectory,
  ok,
  type Result,
  SnapshotDirectory,
  type StepKey,
  type StoreError,
  Workspace,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { deleteSubvolume, deleteSubvolumesIn } from './btrfs.ts';

const debug = createDebug('snapstep:store-btrfs');

/** The inode number of every subvolume's root directory. */
const SUBVOLUME_INODE = 256;

/** Where things lie in the store's directory. */
export class Layout {
  /**
   * Saved snapshots under their keys, and beside them active ones under `KEY.ATTEMPT`: a read-only subvolume
   * can be renamed only within its directory (elsewhere its own `..` would have to change).
   */
  readonly snapshots: SnapshotDirectory;
  readonly cacheDirectory: string;
  /** Copies of caches, and versions that were replaced. */
  readonly workspace: Workspace;
  #isSpacePending = true;

  constructor(path: HostPath) {
    this.snapshots = new SnapshotDirectory(join(path, 'result'));
    this.cacheDirectory = join(path, 'cache');
    this.workspace = new Workspace({
      path: join(path, 'temporary'),
      remove: (gone, options) => this.#delete(gone, options),
    });
  }

  /** A name for an active snapshot that no other attempt has or had. */
  active(key: StepKey): string {
    return `${this.snapshots.pathOf(key)}.${randomBytes(6).toString('hex')}`;
  }

  /** Makes what is missing and throws away what earlier processes left behind. */
  async start(): Promise<Result<void, StoreError>> {
    for (const directory of [this.snapshots.path, this.cacheDirectory]) {
      const made = await makePrivateDirectory(directory);
      if (made.isErr()) return made;
    }
    const wiped = await this.#wipeActive();
    return wiped.isErr() ? wiped : this.workspace.open();
  }

  /** Deletes a subvolume, which may be missing. */
  async discard(path: string, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const stats = await attemptExisting(stat(path));
    if (stats.isErr()) return err(stats.error);
    if (stats.value === undefined) return ok();
    this.expectSpace();
    return deleteSubvolume(path, signal ? { signal } : {});
  }

  /** Whether something was deleted since the last call, or may have been before the store was opened. */
  takePendingSpace(): boolean {
    const isPending = this.#isSpacePending;
    this.#isSpacePending = false;
    return isPending;
  }

  /** The space of what was deleted may still be in use: the next {@link takePendingSpace} is true. */
  expectSpace(): void {
    this.#isSpacePending = true;
  }

  async #delete(path: string, options: { readonly signal?: AbortSignal }): Promise<Result<void, StoreError>> {
    const stats = await attemptExisting(stat(path));
    if (stats.isErr()) return err(stats.error);
    this.expectSpace();
    return stats.value?.ino === SUBVOLUME_INODE
      ? deleteSubvolume(path, options)
      : deleteSubvolumesIn(path, options);
  }

  async #wipeActive(): Promise<Result<void, StoreError>> {
    const names = await attempt(readdir(this.snapshots.path));
    if (names.isErr()) return err(names.error);
    for (const name of names.value.filter((found) => !isStepKey(found))) {
      const wiped = await wipe(join(this.snapshots.path, name));
      // Its name is nobody's key: it only takes space until the next open.
      if (wiped.isErr()) debug('%s cannot be wiped: %o', name, wiped.error);
    }
    return ok();
  }
}

async function wipe(path: string): Promise<Result<void, StoreError>> {
  debug('wiping %s', path);
  const detached = await detachBelow(path);
  if (detached.isErr()) return detached;
  return deleteSubvolumesIn(path);
}
