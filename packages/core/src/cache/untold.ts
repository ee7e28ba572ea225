import type { StepKey } from '../backend/names.ts';
import { isUnwritable } from './index-file.ts';
import type { Statements } from './statements.ts';

/** What may become of a step: it is kept after all, it is being removed, it is gone. */
export type Fate = 'saved' | 'removing' | 'gone';

/**
 * What the file of the index could not be told, such as on a full disk: it stands in the table `untold`, in memory,
 * until there is room. The view `live` answers as if the file had been told.
 */
export class Untold {
  readonly #statements: Statements;

  constructor(statements: Statements) {
    this.#statements = statements;
  }

  tell(key: StepKey, fate: Fate): void {
    if (this.#change(key, fate)) {
      this.forget(key);
      this.retry();
    } else {
      this.#statements.run('INSERT OR REPLACE INTO untold VALUES (?, ?)', key, fate);
    }
  }

  /** What was to be told of a step does not hold any more. */
  forget(key: StepKey): void {
    this.#statements.run('DELETE FROM untold WHERE key = ?', key);
  }

  /** Called where the file was just written: there may be room now. */
  retry(): void {
    for (const { key, state } of this.#statements.all('SELECT key, state FROM untold')) {
      if (!this.#change(key as StepKey, state as Fate)) return;
      this.forget(key as StepKey);
    }
  }

  #change(key: StepKey, fate: Fate): boolean {
    return ifWritable(() => {
      if (fate === 'gone') this.#statements.run('DELETE FROM steps WHERE key = ?', key);
      else this.#statements.run('UPDATE steps SET state = ? WHERE key = ?', fate, key);
    });
  }
}

/** @returns False where the disk does not take a change of the index. */
export function ifWritable(change: () => void): boolean {
  try {
    change();
    return true;
  } catch (error) {
    if (isUnwritable(error)) return false;
    throw error;
  }
}
