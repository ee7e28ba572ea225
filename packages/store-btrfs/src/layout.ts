import { randomBytes } from 'node:crypto';
import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  attemptExisting,
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
  /** In the name of every active snapshot of this opening. */
  readonly #ours = `.${randomBytes(6).toString('hex')}-`;
  #attempts = 0;
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
    return `${this.snapshots.pathOf(key)}${this.#ours}${this.#attempts++}`;
  }

  /** Makes what is missing and throws away what earlier processes left behind. */
  async start(): Promise<Result<void, StoreError>> {
    for (const directory of [this.snapshots.path, this.cacheDirectory]) {
      const made = await makePrivateDirectory(directory);
      if (made.isErr()) return made;
    }
    const wiped = await this.#wipeStrangers();
    return wiped.isErr() ? wiped : this.workspace.open();
  }

  /**
   * Takes a saved snapshot, which may be missing, out of sight at once, then deletes it. A rename takes more room than a
   * deletion: where there is none, the deletion goes on whatever the signal says.
   */
  async remove(key: StepKey, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const path = this.snapshots.pathOf(key);
    const hidden = this.active(key);
    const removed = await this.workspace.discardAs(path, { hidden, ...(signal && { signal }) });
    if (removed.isOk() || removed.error.type !== 'no-space') return removed;
    return this.workspace.discardAs(path, { hidden: path });
  }

  /** Deletes an active snapshot, which may be missing, and which nobody looks for. */
  discard(path: string): Promise<Result<void, StoreError>> {
    return this.workspace.discardAs(path, { hidden: path });
  }

  /** Deletes what an abort or a failure kept from being deleted, and what a child of a dead owner has made since. */
  async finishDiscards(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const wiped = await this.#wipeStrangers();
    return wiped.isErr() ? wiped : this.workspace.finishDiscards(signal);
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

  /** Subvolumes are deleted as such, which takes no time for what is in them. */
  async #delete(path: string, options: { readonly signal?: AbortSignal }): Promise<Result<void, StoreError>> {
    this.expectSpace();
    const kind = await kindOf(path);
    if (kind.isErr()) return err(kind.error);
    if (kind.value === 'subvolume') return deleteSubvolume(path, options);
    const names = kind.value === 'directory' ? await attempt(readdir(path)) : ok([]);
    if (names.isErr()) return err(names.error);
    for (const name of names.value) {
      const inner = await kindOf(join(path, name));
      // What fails here is tried again with the rest.
      if (inner.isOk() && inner.value === 'subvolume') await deleteSubvolume(join(path, name), options);
    }
    return deleteSubvolumesIn(path, options);
  }

  /** What is neither a key nor of this opening. What cannot be deleted only takes space: nobody looks for it. */
  async #wipeStrangers(): Promise<Result<void, StoreError>> {
    const names = await attempt(readdir(this.snapshots.path));
    if (names.isErr()) return err(names.error);
    for (const name of names.value.filter((found) => !isStepKey(found) && !found.includes(this.#ours))) {
      const hidden = join(this.snapshots.path, `gone${this.#ours}${this.#attempts++}`);
      const wiped = await this.workspace.wipe(join(this.snapshots.path, name), hidden);
      if (wiped.isErr()) debug('%s cannot be wiped: %o', name, wiped.error);
    }
    return ok();
  }
}

async function kindOf(path: string): Promise<Result<'subvolume' | 'directory' | 'other', StoreError>> {
  const stats = await attemptExisting(lstat(path));
  return stats.map((found) => {
    if (!found?.isDirectory()) return 'other';
    return found.ino === SUBVOLUME_INODE ? 'subvolume' : 'directory';
  });
}
