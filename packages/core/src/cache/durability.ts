import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import type { Clock } from '../backend/clock.ts';
import { failed, type StoreError } from '../backend/failures.ts';
import type { HostPath, StepKey } from '../backend/names.ts';
import type { Store } from '../backend/store.ts';
import { syncDisk } from '../backend/sync-disk.ts';
import { CacheMarks } from './cache-marks.ts';
import type { IndexDb } from './index-db.ts';

const debug: createDebug.Debugger = createDebug('snapstep:durability');

/** How long after a step was saved its disk is synced, together with all that is saved meanwhile. */
const DELAY_MS = 4000;
/** How long it waits after a sync that failed. */
const RETRY_MS = 30_000;

/**
 * Makes what was saved outlive a power cut, some seconds later and on nobody's path: it syncs the disks of the store and
 * the state, then marks in the index what was saved before that sync began. What is not marked is forgotten when a
 * builder is opened after another boot.
 */
export class Durability implements AsyncDisposable {
  /** What is known of cache volumes. */
  readonly caches: CacheMarks;
  readonly #index: IndexDb;
  readonly #store: Pick<Store, 'sync'>;
  readonly #stateDir: HostPath;
  readonly #clock: Clock;
  #timer: Disposable | undefined;
  #last: Promise<void> = Promise.resolve();
  #hasEnded = false;

  constructor(parts: {
    readonly index: IndexDb;
    readonly store: Pick<Store, 'sync'>;
    readonly stateDir: HostPath;
    readonly clock: Clock;
  }) {
    this.#index = parts.index;
    this.#store = parts.store;
    this.#stateDir = parts.stateDir;
    this.#clock = parts.clock;
    this.caches = new CacheMarks(parts.index, () => this.#schedule(DELAY_MS));
    parts.index.onSaved = () => this.#schedule(DELAY_MS);
    // What a process that died in this boot had no time to sync.
    if (this.#isBehind) this.#schedule(DELAY_MS);
  }

  /** Syncs now. Settles when what was saved before the call is durable, or cannot be made so; never rejects. */
  sync(): Promise<void> {
    this.#enqueue();
    return this.#last;
  }

  /** Syncs a last time. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#hasEnded = true;
    this.#timer?.[Symbol.dispose]();
    await this.sync();
  }

  get #isBehind(): boolean {
    return this.#index.unsynced.size > 0 || !this.caches.isEmpty;
  }

  #schedule(delay: number): void {
    if (this.#hasEnded || this.#timer !== undefined) return;
    this.#timer = this.#clock.setTimer(delay, () => {
      this.#timer = undefined;
      this.#enqueue();
    });
  }

  #enqueue(): void {
    this.#last = this.#last.then(() => this.#sync()).catch((error) => this.#failed(error));
  }

  async #sync(): Promise<void> {
    if (!this.#isBehind) return;
    const { unsynced } = this.#index;
    const steps = [...unsynced];
    unsynced.clear();
    const unmarkCaches = this.caches.beginSync();
    const synced = await this.#syncDisks();
    // A step that was removed and made again meanwhile is in the set again.
    const before = steps.filter((key) => !unsynced.has(key));
    const marked = synced.andThen(() => this.#mark(before));
    if (marked.isErr()) {
      for (const key of before) unsynced.add(key);
      return this.#failed(marked.error);
    }
    unmarkCaches();
    await this.#index.flush();
    debug('%d steps are durable', before.length);
  }

  #mark(steps: readonly StepKey[]): Result<void, StoreError> {
    try {
      this.#index.markDurable(steps);
      return ok();
    } catch (error) {
      return err(failed('the index cannot be marked', error));
    }
  }

  async #syncDisks(): Promise<Result<void, StoreError>> {
    try {
      const [store, state] = await Promise.all([this.#store.sync(), syncDisk(this.#stateDir)]);
      return store.isErr() ? err(store.error) : state;
    } catch (error) {
      return err(failed('the store threw where it should answer', error));
    }
  }

  #failed(error: unknown): void {
    debug('what was saved is not durable yet: %o', error);
    this.#schedule(RETRY_MS);
  }
}
