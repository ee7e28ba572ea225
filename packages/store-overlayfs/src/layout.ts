import { randomBytes } from 'node:crypto';
import { chmod, mkdir, readdir, rename } from 'node:fs/promises';
import { join, relative } from 'node:path';
import {
  attempt,
  attemptExisting,
  detachBelow,
  err,
  type HostPath,
  ok,
  type Result,
  type StoreError,
} from '@snapstep/core/backend';
import { removeTree } from './rm.ts';

/** Where things lie in the store's directory. All of it is one file system, so that a rename publishes. */
export class Layout {
  /** One directory for each layer. Names are short: up to 500 of them go into one mount option. */
  readonly layers: string;
  readonly snapshots: string;
  readonly caches: string;
  readonly temporary: string;
  /** What this opening works on. The name is new each time: a process of an earlier one finds no directory. */
  readonly session: string;
  readonly #doomed = new Set<string>();
  #attempts = 0;

  constructor(path: HostPath) {
    this.layers = join(path, 'layers');
    this.snapshots = join(path, 'snapshots');
    this.caches = join(path, 'caches');
    this.temporary = join(path, 'temporary');
    this.session = join(this.temporary, randomBytes(6).toString('hex'));
  }

  /** A path in {@link session} that nothing else has. */
  attempt(): string {
    this.#attempts += 1;
    return join(this.session, this.#attempts.toString(36));
  }

  /** How a mount that starts in {@link layers} names a path of the store. */
  fromLayers(path: string): string {
    return relative(this.layers, path);
  }

  /** Makes what is missing, unmounts and deletes what earlier processes left behind. */
  async start(): Promise<Result<void, StoreError>> {
    for (const directory of [this.layers, this.snapshots, this.caches, this.temporary]) {
      const made = await attempt(mkdir(directory, { recursive: true }));
      if (made.isErr()) return err(made.error);
      // Layers hold setuid programs, which no user of the host may reach.
      const closed = await attempt(chmod(directory, 0o700));
      if (closed.isErr()) return err(closed.error);
    }
    const wiped = await this.#wipe();
    return wiped.isErr() ? err(wiped.error) : attempt(mkdir(this.session));
  }

  /** Takes `path`, which may be missing, out of sight at once, then deletes it. */
  async discard(path: string, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    const doomed = this.attempt();
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
    for (const name of left.value) {
      const removed = await removeInsistently(join(this.temporary, name));
      if (removed.isErr()) return err(removed.error);
    }
    return ok();
  }
}

/**
 * A child process of a killed owner may still be adding files, mounting or unmounting: deleting wins, but not always
 * the first time. Also what is unmounted at the same moment makes umount fail.
 */
async function removeInsistently(path: string): Promise<Result<void, StoreError>> {
  for (let tries = 1; ; tries += 1) {
    const detached = await detachBelow(path);
    const removed = detached.isOk() ? await removeTree(path) : detached;
    if (removed.isOk() || tries === 10) return removed;
  }
}
