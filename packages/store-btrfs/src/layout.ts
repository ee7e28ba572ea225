import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  attemptExisting,
  type CacheId,
  detachBelow,
  err,
  escapeName,
  type HostPath,
  isStepKey,
  ok,
  type Result,
  type StepKey,
  type StoreError,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { deleteSubvolume, deleteSubvolumesIn } from './btrfs.ts';

const debug = createDebug('snapstep:store-btrfs');

/** Where things lie in the store's directory. */
export class Layout {
  /**
   * Saved snapshots under their keys, and beside them active ones under `KEY.ATTEMPT`: a read-only subvolume
   * can be renamed only within its directory (elsewhere its own `..` would have to change).
   */
  readonly result: string;
  readonly cache: string;
  readonly temporary: string;
  /** Copies of caches. The name is new at each open: a process of an earlier one finds no directory. */
  readonly session: string;
  #isSpacePending = true;

  constructor(path: HostPath) {
    this.result = join(path, 'result');
    this.cache = join(path, 'cache');
    this.temporary = join(path, 'temporary');
    this.session = join(this.temporary, unique());
  }

  snapshot(key: StepKey): string {
    return join(this.result, key);
  }

  /** A name for an active snapshot that no other attempt has or had. */
  active(key: StepKey): string {
    return `${this.snapshot(key)}.${unique()}`;
  }

  cacheVersion(id: CacheId): string {
    return join(this.cache, escapeName(id));
  }

  cacheAttempt(): string {
    return join(this.session, unique());
  }

  /** Makes what is missing and throws away what earlier processes left behind. */
  async start(): Promise<Result<void, StoreError>> {
    for (const directory of [this.result, this.cache, this.temporary]) {
      const made = await attempt(mkdir(directory, { recursive: true }));
      if (made.isErr()) return err(made.error);
      // Snapshots hold setuid programs, which no user of the host may reach.
      const closed = await attempt(chmod(directory, 0o700));
      if (closed.isErr()) return err(closed.error);
    }
    const wiped = await this.#wipe();
    if (wiped.isErr()) return err(wiped.error);
    return attempt(mkdir(this.session));
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

  async #wipe(): Promise<Result<void, StoreError>> {
    const results = await attempt(readdir(this.result));
    if (results.isErr()) return err(results.error);
    const sessions = await attempt(readdir(this.temporary));
    if (sessions.isErr()) return err(sessions.error);
    const doomed = [
      ...results.value.filter((name) => !isStepKey(name)).map((name) => join(this.result, name)),
      ...sessions.value.map((name) => join(this.temporary, name)),
    ];
    for (const path of doomed) {
      const wiped = await wipe(path);
      // Its name is nobody's key and nobody's session: it only takes space until the next open.
      if (wiped.isErr()) debug('%s cannot be wiped: %o', path, wiped.error);
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

function unique(): string {
  return randomBytes(6).toString('hex');
}
