import createDebug from 'debug';
import type { CacheId } from '../backend/names.ts';
import type { IndexDb } from './index-db.ts';

const debug: createDebug.Debugger = createDebug('snapstep:durability');

/** A copy of a cache is out, which may be published. */
export interface CacheMark extends Disposable {
  /** Whether the index knows durably that the cache may change. A copy is published only then. */
  readonly isWritten: Promise<boolean>;
}

interface Mark {
  readonly isWritten: Promise<boolean>;
  /** How many are out. */
  copies: number;
  /** How many syncs had begun when the last copy came back. */
  turn: number;
}

/**
 * Which caches may have a version that a power cut would damage. The index says so, durably, before such a version
 * appears: a cache that it says nothing of is trusted after a cut. The mark is written while the command runs.
 */
export class CacheMarks {
  readonly #index: IndexDb;
  readonly #onMark: () => void;
  readonly #marks = new Map<CacheId, Mark>();
  #turn = 0;

  /** @param onMark - Called for each copy that comes back: it may have been published. */
  constructor(index: IndexDb, onMark: () => void) {
    this.#index = index;
    this.#onMark = onMark;
    for (const id of index.markedCaches('in this boot')) this.#marks.set(id, noCopy(Promise.resolve(true)));
  }

  get isEmpty(): boolean {
    return this.#marks.size === 0;
  }

  take(id: CacheId): CacheMark {
    const mark = this.#marks.get(id) ?? noCopy(this.#write(id));
    this.#marks.set(id, mark);
    mark.copies += 1;
    let isOut = true;
    return {
      isWritten: mark.isWritten,
      [Symbol.dispose]: () => {
        if (!isOut) return;
        isOut = false;
        mark.copies -= 1;
        mark.turn = this.#turn;
        this.#onMark();
      },
    };
  }

  /** Called before a sync: takes away, once it succeeded, the marks of caches that nobody used meanwhile. */
  beginSync(): () => void {
    this.#turn += 1;
    const turn = this.#turn;
    return () => {
      const durable = [...this.#marks].filter(([, mark]) => mark.copies === 0 && mark.turn < turn);
      const ids = durable.map(([id]) => id);
      this.#index.unmarkCaches(ids);
      for (const id of ids) this.#marks.delete(id);
    };
  }

  async #write(id: CacheId): Promise<boolean> {
    try {
      this.#index.markCache(id);
      const flushed = await this.#index.flush();
      if (flushed.isOk()) return true;
      debug('the cache %s is not marked: %o', id, flushed.error);
    } catch (error) {
      debug('the cache %s is not marked: %o', id, error);
    }
    // The next one to use the cache tries again.
    this.#marks.delete(id);
    return false;
  }
}

function noCopy(isWritten: Promise<boolean>): Mark {
  return { isWritten, copies: 0, turn: 0 };
}
