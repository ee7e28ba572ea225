import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync } from 'node:fs';
import { chmod, lstat, mkdir, readdir, rename } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import { failed, type StoreError } from './failures.ts';
import { HomeDisk } from './home-disk.ts';
import { detachBelow } from './mount-points.ts';
import { type RemoveTreeOptions, removeTree } from './remove-tree.ts';
import { attempt, attemptExisting } from './store-failure.ts';

const debug: createDebug.Debugger = createDebug('snapstep:workspace');

export interface WorkspaceOptions {
  /** A directory of the store, on the same file system as what is published from it by a rename. */
  readonly path: string;
  /** Deletes one tree. Default: {@link removeTree}. */
  readonly remove?: (path: string, options: RemoveTreeOptions) => Promise<Result<void, StoreError>>;
}

/**
 * Where a store works on what is not saved yet, and where it puts what is to be deleted.
 *
 * Each opening has a directory of its own in it, its session, with a name that was never there before: a child process
 * of a killed owner that still writes finds no directory. {@link open} throws away all earlier ones.
 *
 * The caller owns the store: see `openStoreDirectory`.
 */
export class Workspace {
  /** What this opening works on. */
  readonly session: string;
  readonly #path: string;
  readonly #remove: NonNullable<WorkspaceOptions['remove']>;
  readonly #doomed = new Set<string>();
  /** What is being deleted just now: by one caller at a time. */
  readonly #deleting = new Map<string, Promise<Result<void, StoreError>>>();
  /** Of dead processes: whether they can be deleted matters to nobody. */
  readonly #left = new Set<string>();
  #attempts = 0;
  #home: HomeDisk | undefined;

  constructor({ path, remove = removeTree }: WorkspaceOptions) {
    this.session = join(path, randomBytes(6).toString('hex'));
    this.#path = path;
    this.#remove = remove;
  }

  /**
   * Makes the session, and throws away what earlier ones left: see {@link wipe}. A mount that stays is a failure.
   */
  async open(): Promise<Result<void, StoreError>> {
    const made = await makePrivateDirectory(this.#path);
    if (made.isErr()) return made;
    this.#home = new HomeDisk(dirname(this.#path));
    const left = await attempt(readdir(this.#path));
    if (left.isErr()) return err(left.error);
    const begun = await this.#begin(left.value);
    return begun.isErr() ? err(begun.error) : this.#wipeAll(begun.value);
  }

  /**
   * A path in {@link session} that nothing has, and nothing else gets. Short: a mount takes many in one option. The
   * session is made again if somebody took it away, but for its disk.
   */
  fresh(): string {
    this.#attempts += 1;
    if (!existsSync(this.session) && this.#home?.isThere) this.#makeAgain();
    return join(this.session, this.#attempts.toString(36));
  }

  /**
   * Takes `path`, which may be missing, out of sight at once, then deletes it.
   * After a failure it is either where it was, or out of sight: then {@link finishDiscards} tries again.
   */
  discard(path: string, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return this.discardAs(path, { hidden: this.fresh(), ...(signal && { signal }) });
  }

  /** As {@link discard}, for what can be renamed only within its directory, or has a name that nobody looks for. */
  async discardAs(
    path: string,
    { hidden, signal }: { readonly hidden: string; readonly signal?: AbortSignal },
  ): Promise<Result<void, StoreError>> {
    const moved = await attemptExisting(rename(path, hidden).then(() => hidden));
    if (moved.isErr()) return err(moved.error);
    return moved.value === undefined ? ok() : this.#delete(hidden, signal);
  }

  /** Deletes what an abort or a failure kept {@link discard} from deleting: for `reclaimed`. */
  async finishDiscards(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    await this.#finishWipes();
    let outcome: Result<void, StoreError> = ok();
    for (const doomed of this.#doomed) {
      const deleted = await this.#delete(doomed, signal);
      if (deleted.isErr()) outcome = deleted;
    }
    return outcome;
  }

  /**
   * Throws away what a dead process left: mounts first, also those in use, then the files. A child of that process may
   * still be adding files, mounting or unmounting, so the place is renamed, and tried more than once: a child that is in
   * it can make nothing more there when it is gone. What stays only takes space; {@link finishDiscards} tries again.
   *
   * @param hidden - For what can be renamed only within its directory. Default: a path of the session.
   * @returns A failure if something stays mounted there.
   */
  async wipe(path: string, hidden: string = this.fresh()): Promise<Result<void, StoreError>> {
    debug('wiping %s', path);
    // A mount point cannot be renamed.
    await detachBelow(path);
    const moved = await attempt(rename(path, hidden));
    const place = moved.isOk() ? hidden : path;
    this.#left.add(place);
    for (let tries = 1; ; tries += 1) {
      const { detached, removed } = await this.#deleteLeft(place);
      if (removed.isOk()) return ok();
      if (tries === 10) return detached.isErr() || removed.error.type === 'busy' ? removed : ok();
    }
  }

  /**
   * Makes the session. A disk may be too full for one more directory, and stays so if no store opens: then the directory
   * of an earlier session gets the new name, which needs no room.
   *
   * @returns The paths of what is to be thrown away.
   */
  async #begin(left: readonly string[]): Promise<Result<readonly string[], StoreError>> {
    const paths = left.map((name) => join(this.#path, name));
    const made = await attempt(mkdir(this.session));
    const [reused, ...others] = paths;
    if (made.isOk() || made.error.type !== 'no-space' || reused === undefined) return made.map(() => paths);
    debug('%s is too full for another directory: %s is taken', this.#path, reused);
    const entries = await attempt(rename(reused, this.session).then(() => readdir(this.session)));
    return entries.map((names) => [...others, ...names.map((name) => join(this.session, name))]);
  }

  #makeAgain(): void {
    try {
      mkdirSync(this.session, { recursive: true, mode: 0o700 });
    } catch (error) {
      debug('%s cannot be made: %o', this.session, error);
    }
  }

  async #delete(doomed: string, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    this.#doomed.add(doomed);
    for (let other = this.#deleting.get(doomed); other; other = this.#deleting.get(doomed)) await other;
    if (!this.#doomed.has(doomed)) return ok();
    const removing = this.#remove(doomed, signal ? { signal } : {}).finally(() =>
      this.#deleting.delete(doomed),
    );
    this.#deleting.set(doomed, removing);
    const removed = await removing;
    if (removed.isOk()) this.#doomed.delete(doomed);
    return removed;
  }

  /** A child of a dead process may have made anew what it writes to. */
  async #finishWipes(): Promise<void> {
    for (const left of this.#left) await this.#deleteLeft(left);
    const names = await attempt(readdir(this.#path));
    const paths = names.unwrapOr([]).map((name) => join(this.#path, name));
    await this.#wipeAll(paths.filter((path) => path !== this.session));
  }

  async #wipeAll(paths: readonly string[]): Promise<Result<void, StoreError>> {
    for (const path of paths) {
      const wiped = await this.wipe(path);
      if (wiped.isErr()) return wiped;
    }
    return ok();
  }

  /** What is unmounted by somebody else at the same moment makes umount fail. */
  async #deleteLeft(
    path: string,
  ): Promise<{ readonly detached: Result<void, StoreError>; readonly removed: Result<void, StoreError> }> {
    const detached = await detachBelow(path);
    const removed = detached.isOk() ? await this.#remove(path, {}) : detached;
    if (removed.isOk()) this.#left.delete(path);
    else debug('%s cannot be wiped: %o', path, removed.error);
    return { detached, removed };
  }
}

/**
 * Makes a directory that only its owner can enter, with its parents, unless it is there. For all that a store keeps:
 * there are setuid programs in snapshots, which no user of the host may reach.
 *
 * @returns A failure where a link is in its place: what a store does not know in its directories it deletes.
 */
export async function makePrivateDirectory(path: string): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(path, { recursive: true, mode: 0o700 }));
  if (made.isErr()) return err(made.error);
  const found = await attempt(lstat(path));
  if (found.isErr()) return err(found.error);
  return found.value.isSymbolicLink()
    ? err(failed(`${path} is a link, and may lead to what is somebody else's: put a directory there`))
    : attempt(chmod(path, 0o700));
}
