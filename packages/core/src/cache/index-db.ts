import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Clock } from '../backend/clock.ts';
import type { HostPath, StepKey } from '../backend/names.ts';
import { closeIndexFile, isDatabaseFull, openIndexFile, VERSION } from './index-file.ts';

/** A saved step, as `list` gives it. */
export interface SavedStep {
  readonly key: StepKey;
  readonly parent: StepKey | undefined;
  /** One line, such as `(run (shell "make"))`. */
  readonly title: string;
  readonly savedAt: Date;
  readonly usedAt: Date;
  /** How long the step took to run. */
  readonly milliseconds: number;
}

/** `saving`: the step runs, nothing is promised. `saved`: it is there, whole. `removing`: it must not be used again. */
export type RowState = 'saving' | 'saved' | 'removing';

interface Row {
  readonly key: StepKey;
  readonly parent: StepKey | null;
  readonly title: string;
  readonly saved_ms: number;
  readonly used_ms: number;
  readonly run_ms: number;
}

/**
 * The table of saved steps, their parents and last use, in `index.db`. Which step is older is decided by a
 * sequence that only grows, so that a clock that jumps does no harm.
 */
export class IndexDb implements Disposable {
  readonly #db: DatabaseSync;
  readonly #statements = new Map<string, StatementSync>();
  readonly #clock: Clock;
  #sequence: number;
  /** Steps that are being removed, and which there was no room to mark so. */
  readonly #unmarked = new Set<StepKey>();

  private constructor(db: DatabaseSync, clock: Clock) {
    this.#db = db;
    this.#clock = clock;
    this.#sequence = Number(this.#get('SELECT max(used_sequence) AS value FROM steps')?.value ?? 0);
  }

  /** @throws What SQLite says, see {@link openIndexFile}. */
  static open(stateDir: HostPath, clock: Clock): IndexDb {
    return new IndexDb(openIndexFile(join(stateDir, 'index.db')), clock);
  }

  /** Whether it was never filled from the store: it is new, or was damaged, or filling it was interrupted. */
  get isUnfilled(): boolean {
    return this.#get('PRAGMA user_version')?.user_version === 0;
  }

  /** Puts back, all at once, the rows of an index that was lost. Parents come before their children. */
  fill(steps: readonly (SavedStep & { readonly op: string })[]): void {
    this.#atOnce(() => {
      for (const step of steps) this.#restore(step);
      this.#db.exec(`PRAGMA user_version = ${VERSION}`);
    });
  }

  isSaved(key: StepKey): boolean {
    if (this.#unmarked.has(key)) return false;
    return this.#get("SELECT 1 FROM steps WHERE key = ? AND state = 'saved'", key) !== undefined;
  }

  /** A row for a step that is about to run. Its parent is saved, or it has none. */
  begin(
    key: StepKey,
    step: { readonly parent: StepKey | undefined; readonly op: string; readonly title: string },
  ): void {
    this.#run(
      `INSERT INTO steps VALUES (?, ?, 'saving', ?, ?, 0, 0, 0, 0)`,
      ...[key, step.parent ?? null, step.op, step.title],
    );
  }

  saved(key: StepKey, milliseconds: number): void {
    const now = this.#clock.now();
    this.#run(
      `UPDATE steps SET state = 'saved', saved_ms = ?, used_ms = ?, used_sequence = ?, run_ms = ? WHERE key = ?`,
      ...[now, now, this.#next(), Math.round(milliseconds), key],
    );
  }

  /** These steps were of use: the last one most recently. Where there is no room to say so, they go a little early. */
  touch(keys: readonly StepKey[]): void {
    if (keys.length === 0) return;
    const now = this.#clock.now();
    ifThereIsRoom(() =>
      this.#atOnce(() => {
        for (const key of keys) {
          this.#run(
            'UPDATE steps SET used_ms = max(used_ms, ?), used_sequence = ? WHERE key = ?',
            ...[now, this.#next(), key],
          );
        }
      }),
    );
  }

  /** Goes on where there is no room for the mark: nothing could be removed from a full disk otherwise. */
  removing(key: StepKey): void {
    if (!ifThereIsRoom(() => this.#run("UPDATE steps SET state = 'removing' WHERE key = ?", key)))
      this.#unmarked.add(key);
  }

  /** It is not removed after all. */
  keep(key: StepKey): void {
    this.#unmarked.delete(key);
    this.#run("UPDATE steps SET state = 'saved' WHERE key = ? AND state = 'removing'", key);
  }

  /** Whether there is a row of it, also one that promises nothing. */
  has(key: StepKey): boolean {
    return this.#get('SELECT 1 FROM steps WHERE key = ?', key) !== undefined;
  }

  /** @returns Whether there was room for that. A step that was removed stays so, either way. */
  forget(key: StepKey): boolean {
    const isForgotten = ifThereIsRoom(() => this.#run('DELETE FROM steps WHERE key = ?', key));
    if (isForgotten) this.#unmarked.delete(key);
    return isForgotten;
  }

  /** Remembers that what `quick` names has the same files as the saved step `key`, where there is room for that. */
  alias(quick: StepKey, key: StepKey): void {
    ifThereIsRoom(() => this.#run('INSERT OR REPLACE INTO aliases VALUES (?, ?)', quick, key));
  }

  resolveAlias(quick: StepKey): StepKey | undefined {
    return this.#get(
      "SELECT aliases.key AS value FROM aliases JOIN steps USING (key) WHERE quick = ? AND state = 'saved'",
      quick,
    )?.value as StepKey | undefined;
  }

  children(key: StepKey): StepKey[] {
    return this.#all('SELECT key FROM steps WHERE parent = ?', key).map((row) => row.key as StepKey);
  }

  hasChildren(key: StepKey): boolean {
    return this.#get('SELECT 1 FROM steps WHERE parent = ?', key) !== undefined;
  }

  /** The first step that nothing is built on and that `mayGo`, the least recently used first. */
  firstLeaf(mayGo: (step: SavedStep) => boolean): SavedStep | undefined {
    const leaves = this.#prepare(
      `SELECT * FROM steps AS s WHERE state != 'saving' AND NOT EXISTS (SELECT 1 FROM steps WHERE parent = s.key)
       ORDER BY used_sequence`,
    ).iterate() as Iterable<unknown> as Iterable<Row>;
    for (const row of leaves) if (mayGo(toStep(row))) return toStep(row);
    return undefined;
  }

  list(): SavedStep[] {
    const saved = this.#saved("SELECT * FROM steps WHERE state = 'saved' ORDER BY used_sequence");
    return saved.filter(({ key }) => !this.#unmarked.has(key));
  }

  /** Saved steps of one kind, the most recently used first. */
  similar(op: string, limit: number): StepKey[] {
    const rows = this.#all(
      "SELECT key FROM steps WHERE op = ? AND state = 'saved' ORDER BY used_sequence DESC LIMIT ?",
      ...[op, limit],
    );
    return rows.map((row) => row.key as StepKey);
  }

  countSaved(): number {
    return Number(this.#get("SELECT count(*) AS value FROM steps WHERE state = 'saved'")?.value);
  }

  /** Every row, whatever its state. */
  states(): ReadonlyMap<StepKey, RowState> {
    return new Map(
      this.#all('SELECT key, state FROM steps').map((row) => [row.key as StepKey, row.state as RowState]),
    );
  }

  #restore(step: SavedStep & { readonly op: string }): void {
    this.#run(
      `INSERT INTO steps VALUES (?, ?, 'saved', ?, ?, ?, ?, ?, ?)`,
      ...[step.key, step.parent ?? null, step.op, step.title, step.savedAt.getTime(), step.usedAt.getTime()],
      ...[this.#next(), step.milliseconds],
    );
  }

  [Symbol.dispose](): void {
    this.#statements.clear();
    closeIndexFile(this.#db);
  }

  #saved(sql: string): SavedStep[] {
    return (this.#all(sql) as unknown as Row[]).map(toStep);
  }

  #atOnce(work: () => void): void {
    this.#db.exec('BEGIN');
    try {
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  #run(sql: string, ...values: readonly (string | number | null)[]): void {
    this.#prepare(sql).run(...values);
  }

  #get(sql: string, ...values: readonly (string | number)[]): Record<string, unknown> | undefined {
    return this.#prepare(sql).get(...values);
  }

  #all(sql: string, ...values: readonly (string | number)[]): Record<string, unknown>[] {
    return this.#prepare(sql).all(...values);
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#statements.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#statements.set(sql, statement);
    }
    return statement;
  }
}

function toStep(row: Row): SavedStep {
  return {
    key: row.key,
    parent: row.parent ?? undefined,
    title: row.title,
    savedAt: new Date(row.saved_ms),
    usedAt: new Date(row.used_ms),
    milliseconds: row.run_ms,
  };
}

/** @returns False where the disk has no room for a change of the index. */
function ifThereIsRoom(change: () => void): boolean {
  try {
    change();
    return true;
  } catch (error) {
    if (isDatabaseFull(error)) return false;
    throw error;
  }
}
