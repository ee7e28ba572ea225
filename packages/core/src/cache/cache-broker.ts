import { err, ok, type Result } from 'neverthrow';
import type { Failed, StoreError } from '../backend/failures.ts';
import type { CacheId, Owner } from '../backend/names.ts';
import type { CacheCopy, CacheVolumes } from '../backend/store.ts';
import type { Volume } from '../backend/volume.ts';
import type { CacheMark, CacheMarks } from './cache-marks.ts';
import { KeyedMutex } from './keyed-mutex.ts';

/**
 * What became of a copy. `overtaken`: somebody else published or removed the cache since. `unmarked`: the index could not
 * be told that the cache changes, as on a full disk, so a power cut could make it wrong.
 */
export type CacheEnd = 'published' | 'unchanged' | 'overtaken' | 'unmarked';

/** A step's copy of a cache. Disposing it throws the copy away, unless {@link finish} published it. */
export interface CheckedOut extends AsyncDisposable {
  readonly volume: Volume;
  /** Why the cache was dropped and this copy is an empty one: the store could not copy what a step had left in it. */
  readonly dropped: Failed | undefined;
  /** Publishes the copy, if it was changed and nobody published or removed the cache since it was taken. */
  finish(): Promise<Result<CacheEnd, StoreError>>;
}

/** What was known when a copy was taken. */
interface Taken {
  readonly id: CacheId;
  readonly generation: number;
  readonly mark: CacheMark;
  readonly dropped: Failed | undefined;
}

/**
 * Decides which of the steps that used a cache at the same time may keep what it wrote: the first to finish.
 * The generations live in memory, since the store throws away every copy when it is opened.
 */
export class CacheBroker {
  readonly #caches: CacheVolumes;
  readonly #marks: CacheMarks;
  readonly #mutex = new KeyedMutex<CacheId>();
  readonly #generations = new Map<CacheId, number>();

  constructor(caches: CacheVolumes, marks: CacheMarks) {
    this.#caches = caches;
    this.#marks = marks;
  }

  /** A cache that cannot be copied would fail every step that uses it, so it is dropped and begins anew. */
  checkOut(id: CacheId, owner: Owner): Promise<Result<CheckedOut, StoreError>> {
    return this.#mutex.run(id, async () => {
      const mark = this.#marks.take(id);
      const copy = await this.#caches.checkOut(id, owner);
      const dropped = copy.isErr() && isAboutContent(copy.error) ? copy.error : undefined;
      const anew = dropped ? await this.#beginAnew(id, owner) : copy;
      if (anew.isErr()) mark[Symbol.dispose]();
      const taken = { id, mark, generation: this.#generation(id), dropped };
      return anew.map((value) => this.#checkedOut(value, taken));
    });
  }

  /** Copies that are out are discarded when they come back. */
  remove(id: CacheId): Promise<Result<void, StoreError>> {
    return this.#mutex.run(id, () => this.#remove(id));
  }

  async #beginAnew(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    const removed = await this.#remove(id);
    return removed.isErr() ? err(removed.error) : this.#caches.checkOut(id, owner);
  }

  async #remove(id: CacheId): Promise<Result<void, StoreError>> {
    this.#generations.set(id, this.#generation(id) + 1);
    return this.#caches.remove(id);
  }

  #checkedOut(copy: CacheCopy, taken: Taken): CheckedOut {
    return {
      volume: copy.volume,
      dropped: taken.dropped,
      finish: () => this.#mutex.run(taken.id, () => this.#finish(copy, taken)),
      [Symbol.asyncDispose]: () =>
        this.#mutex.run(taken.id, async () => {
          await copy[Symbol.asyncDispose]();
          taken.mark[Symbol.dispose]();
        }),
    };
  }

  async #finish(copy: CacheCopy, { id, generation, mark }: Taken): Promise<Result<CacheEnd, StoreError>> {
    if (this.#generation(id) !== generation) return ok('overtaken');
    const changed = await copy.changed();
    if (changed.isErr()) return err(changed.error);
    if (!changed.value) return ok('unchanged');
    if (!(await mark.isWritten)) return ok('unmarked');
    const published = await copy.publish();
    if (published.isOk()) this.#generations.set(id, generation + 1);
    return published.map(() => 'published');
  }

  #generation(id: CacheId): number {
    return this.#generations.get(id) ?? 0;
  }
}

/** System calls that say something of the machine, and nothing of the files. */
const OF_THE_MACHINE: readonly unknown[] = ['EMFILE', 'ENFILE', 'ENOMEM', 'EAGAIN', 'EROFS', 'ENODEV'];

/** Whether a copy failed for what is in the cache, as far as one can tell: not where a program did not run to its end. */
function isAboutContent(error: StoreError): error is Failed {
  if (error.type !== 'failed') return false;
  const cause: { readonly exitCode?: unknown; readonly code?: unknown } =
    typeof error.cause === 'object' && error.cause !== null ? error.cause : {};
  if ('exitCode' in cause) return cause.exitCode !== undefined;
  return !OF_THE_MACHINE.includes(cause.code);
}
