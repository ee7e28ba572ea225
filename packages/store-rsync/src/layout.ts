import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  attemptExisting,
  type CacheId,
  detachBelow,
  err,
  escapeName,
  type HostPath,
  ok,
  type Result,
  type StepKey,
  type StoreError,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { removeTree } from './rm.ts';

const debug = createDebug('snapstep:store-rsync');

/** Where things lie in the store's directory. All of it is one file system, so that a rename publishes. */
export class Layout {
  readonly result: string;
  readonly cache: string;
  /** Everything here is gone after the next open, and so is what a forgotten child process still writes. */
  readonly temporary: string;
  /** Writable copies of this opening. The name is new each time: a process of an earlier one finds no directory. */
  readonly session: string;
  readonly #doomed = new Set<string>();

  constructor(path: HostPath) {
    this.result = join(path, 'result');
    this.cache = join(path, 'cache');
    this.temporary = join(path, 'temporary');
    this.session = join(this.temporary, unique());
  }

  snapshot(key: StepKey): string {
    return join(this.result, key);
  }

  cacheVersion(id: CacheId): string {
    return join(this.cache, escapeName(id));
  }

  /** A name in {@link session} that nothing else has. */
  attempt(prefix: string): string {
    return join(this.session, `${prefix}.${unique()}`);
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

  /** Takes `path`, which may be missing, out of sight at once, then deletes it. */
  async discard(path: string, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const doomed = this.attempt('removed');
    const hidden = await attemptExisting(rename(path, doomed).then(() => doomed));
    if (hidden.isErr()) return err(hidden.error);
    return hidden.value === undefined ? ok() : this.#delete(doomed, signal);
  }

  /** Deletes what an abort or a failure kept {@link discard} from deleting. */
  async finishDiscards(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    for (const doomed of this.#doomed) {
      const deleted = await this.#delete(doomed, signal);
      if (deleted.isErr()) return deleted;
    }
    return ok();
  }

  async #delete(doomed: string, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    this.#doomed.add(doomed);
    const removed = await removeTree(doomed, signal);
    if (removed.isOk()) this.#doomed.delete(doomed);
    return removed;
  }

  async #wipe(): Promise<Result<void, StoreError>> {
    const left = await attempt(readdir(this.temporary));
    if (left.isErr()) return err(left.error);
    const detached = await detachBelow(this.temporary);
    if (detached.isErr()) return err(detached.error);
    for (const name of left.value) {
      debug('wiping %s', name);
      const removed = await removeInsistently(join(this.temporary, name));
      // It is nobody's session any more: it only takes space until the next open.
      if (removed.isErr()) debug('%s cannot be wiped: %o', name, removed.error);
    }
    return ok();
  }
}

/** A child process of a killed owner may still be adding files: deleting wins, but not always the first time. */
async function removeInsistently(path: string): Promise<Result<void, StoreError>> {
  for (let tries = 1; ; tries += 1) {
    const removed = await removeTree(path);
    if (removed.isOk() || tries === 10) return removed;
  }
}

function unique(): string {
  return randomBytes(6).toString('hex');
}
