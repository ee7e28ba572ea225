import { err, ok, type Result, type StoreError } from '@snapstep/core/backend';
import createDebug from 'debug';
import { whileBusy } from './backoff.ts';
import { hasDependents, isMissing } from './commands.ts';
import { withHolders } from './holders.ts';
import { isBelowAny, type Layout } from './layout.ts';
import { Slots } from './slots.ts';
import type { Zfs } from './zfs.ts';

const debug = createDebug('snapstep:store-zfs');

/** More at once would keep others from writing (B9). */
const AT_ONCE = 4;

/** Destroys datasets, and remembers those that cannot be destroyed yet: in use, or something was cloned from them. */
export class Trash {
  readonly #layout: Layout;
  readonly #zfs: Zfs;
  /** By their present names, with those that they had before they were hidden. */
  readonly #doomed = new Map<string, string>();
  /** What is being destroyed: whoever wants the same waits for its end, since the name may be used again then. */
  readonly #running = new Map<string, Promise<Result<void, StoreError>>>();
  readonly #slots = new Slots(AT_ONCE);
  #hasFreed = false;

  constructor(layout: Layout, zfs: Zfs) {
    this.#layout = layout;
    this.#zfs = zfs;
  }

  /** Whether a name is still taken by what could neither be destroyed nor renamed. */
  holds(dataset: string): boolean {
    return this.#doomed.has(dataset);
  }

  /** Makes a name free that is taken by what could neither be destroyed nor renamed before. */
  async free(dataset: string): Promise<Result<void, StoreError>> {
    return this.holds(dataset) ? this.discard(dataset) : ok();
  }

  /** Whether something was destroyed since the last call. */
  takeFreed(): boolean {
    const hasFreed = this.#hasFreed;
    this.#hasFreed = false;
    return hasFreed;
  }

  /** That space was not free yet after all. */
  expectFreed(): void {
    this.#hasFreed = true;
  }

  /**
   * Destroys a dataset, or at least takes it out of sight: its name is free then, and the rest follows later.
   * Succeeds where there is none.
   */
  async discard(dataset: string): Promise<Result<void, StoreError>> {
    const destroyed = await this.destroy(dataset);
    return destroyed.isOk() ? ok() : this.hide(dataset, destroyed.error);
  }

  /** Takes what could not be destroyed for the reason of `error` out of sight. Its name is free then. */
  async hide(dataset: string, error: StoreError): Promise<Result<void, StoreError>> {
    const reason = hasDependents(error) ? error : await withHolders(error, { dataset });
    debug('%s cannot be destroyed yet: %o', dataset, reason);
    const hidden = this.#layout.attempt(this.#layout.trash);
    const renamed = await this.#zfs.rename(dataset, hidden);
    const name = this.#doomed.get(dataset) ?? dataset;
    this.#doomed.delete(dataset);
    this.#doomed.set(renamed.isOk() ? hidden : dataset, name);
    return renamed.isOk() ? ok() : err(reason);
  }

  /** Destroys a dataset that nothing was cloned from; if it is in use, waits a little. */
  async destroy(dataset: string): Promise<Result<void, StoreError>> {
    return whileBusy(
      () => this.#destroyOnce(dataset),
      (error) => !hasDependents(error),
    );
  }

  /**
   * Tries once more what could not be destroyed, again as long as that gets it further.
   *
   * @param containers - Only what was below these; a version of a base image may stay for years.
   */
  async sweep(containers: readonly string[] = this.#layout.containers): Promise<void> {
    for (let before = -1; ; ) {
      const doomed = [...this.#doomed].filter(([, name]) => isBelowAny(name, containers));
      if (doomed.length === 0 || doomed.length === before) return;
      before = doomed.length;
      await Promise.all(doomed.map(([dataset]) => this.#destroyOnce(dataset)));
    }
  }

  /** For datasets that somebody else knows to be leftovers. {@link sweep} destroys them. */
  add(datasets: Iterable<string>): void {
    for (const dataset of datasets) this.#doomed.set(dataset, dataset);
  }

  /** Takes what is left out of the way of new datasets of the same name. */
  async hideAll(): Promise<void> {
    const visible = [...this.#doomed.keys()].filter((name) => !name.startsWith(`${this.#layout.trash}/`));
    for (const dataset of visible) {
      await this.hide(dataset, { type: 'busy', message: `${dataset} is still in use` });
    }
  }

  #destroyOnce(dataset: string): Promise<Result<void, StoreError>> {
    const running = this.#running.get(dataset);
    if (running !== undefined) return running;
    const ended = this.#destroyNow(dataset).finally(() => this.#running.delete(dataset));
    this.#running.set(dataset, ended);
    return ended;
  }

  async #destroyNow(dataset: string): Promise<Result<void, StoreError>> {
    const destroyed = await this.#slots.run(() => this.#zfs.destroy(dataset));
    if (destroyed.isErr() && !isMissing(destroyed.error)) return destroyed;
    this.#doomed.delete(dataset);
    this.#hasFreed = true;
    return ok();
  }
}
