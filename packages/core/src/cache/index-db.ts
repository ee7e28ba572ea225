import { join } from 'node:path';
import type { DatabaseSync } from 'node:sqlite';
import type { Result } from 'neverthrow';
import { bootId } from '../backend/boot-id.ts';
import type { Clock } from '../backend/clock.ts';
import type { StoreError } from '../backend/failures.ts';
import type { CacheId, HostPath, StepKey } from '../backend/names.ts';
import { syncFile } from '../backend/sync-disk.ts';
import { closeIndexFile, openIndexFile, VERSION } from './index-file.ts';
import { type RestoredStep, type SavedStep, toStep } from './saved-step.ts';
import { Statements } from './statements.ts';
import { ifWritable, Untold } from './untold.ts';

/** `saving`: the step runs, nothing is promised. `saved`: it is there, whole. `removing`: it must not be used again. */
export type RowState = 'saving' | 'saved' | 'removing';

/**
 * The table of saved steps, their parents and last use, in `index.db`. Which step is older is decided by a
 * sequence that only grows, so that a clock that jumps does no harm.
 *
 * "Saved" has two meanings: visible and durable. A step that is not durable yet is as good as any until the machine goes
 * down. After that its files may be empty, and {@link forgetLost} takes it out.
 */
export class IndexDb implements Disposable {
  /** Steps that were saved in this boot and are not marked as durable. */
  readonly unsynced: Set<StepKey> = new Set();
  /** Called whenever a step is saved. */
  onSaved: () => void = () => {};
  readonly #db: DatabaseSync;
  readonly #statements: Statements;
  readonly #untold: Untold;
  readonly #clock: Pick<Clock, 'now'>;
  #sequence: number;
  /** Steps whose rows were deleted, and may be in the file again after a power cut. */
  readonly #resurrectable = new Set<StepKey>();

  private constructor(db: DatabaseSync, clock: Pick<Clock, 'now'>) {
    this.#db = db;
    this.#statements = new Statements(db);
    this.#untold = new Untold(this.#statements);
    this.#clock = clock;
    this.#sequence = Number(this.#statements.value('SELECT max(used_sequence) FROM steps'));
    const unsynced = this.#statements.all('SELECT key FROM steps WHERE boot = ?', bootId());
    for (const { key } of unsynced) this.unsynced.add(key as StepKey);
  }

  /** @throws What SQLite says, see {@link openIndexFile}. */
  static open(stateDir: HostPath, clock: Pick<Clock, 'now'>): IndexDb {
    return new IndexDb(openIndexFile(join(stateDir, 'index.db')), clock);
  }

  /** Whether it was never filled from the store: it is new, or was damaged, or filling it was interrupted. */
  get isUnfilled(): boolean {
    return this.#statements.value('PRAGMA user_version') === 0;
  }

  /** Puts back, all at once, the rows of an index that was lost. Parents come before their children. */
  fill(steps: readonly RestoredStep[]): void {
    this.#statements.atOnce(() => {
      for (const step of steps) this.#restore(step);
      this.#db.exec(`PRAGMA user_version = ${VERSION}`);
    });
  }

  isSaved(key: StepKey): boolean {
    return this.#statements.get("SELECT 1 FROM live WHERE key = ? AND state = 'saved'", key) !== undefined;
  }

  /**
   * A row for a step that is about to run. Its parent is saved, or it has none. A row that an earlier attempt left
   * becomes this one.
   */
  begin(
    key: StepKey,
    step: { readonly parent: StepKey | undefined; readonly op: string; readonly title: string },
  ): void {
    this.#statements.run(
      `INSERT INTO steps VALUES (?, ?, 'saving', ?, ?, 0, 0, 0, 0, ?)
       ON CONFLICT (key) DO UPDATE SET parent = excluded.parent, state = excluded.state, op = excluded.op,
         title = excluded.title, boot = excluded.boot`,
      ...[key, step.parent ?? null, step.op, step.title, bootId()],
    );
    this.#untold.forget(key);
    this.#untold.retry();
  }

  /**
   * Waits until no power cut can bring back what an earlier row said of this step. Called between {@link begin} and the
   * commit of the snapshot; there is something to wait for only if the step was removed a moment ago.
   */
  async beginDurably(key: StepKey): Promise<Result<void, StoreError> | undefined> {
    return this.#resurrectable.has(key) ? this.flush() : undefined;
  }

  saved(key: StepKey, milliseconds: number): void {
    const now = this.#clock.now();
    this.#statements.run(
      `UPDATE steps SET state = 'saved', saved_ms = ?, used_ms = ?, used_sequence = ?, run_ms = ? WHERE key = ?`,
      ...[now, now, this.#next(), Math.round(milliseconds), key],
    );
    this.unsynced.add(key);
    this.onSaved();
  }

  /** Those of the steps that are still saved outlive a power cut. The mark counts once {@link flush} succeeds. */
  markDurable(keys: Iterable<StepKey>): void {
    this.#statements.atOnce(() => {
      for (const key of keys)
        this.#statements.run("UPDATE steps SET boot = NULL WHERE key = ? AND state != 'saving'", key);
    });
    this.#untold.retry();
  }

  /** Forgets the steps of earlier boots that were not durable. @returns Their keys. */
  forgetLost(): StepKey[] {
    const rows = this.#statements.all('SELECT key FROM live WHERE boot IS NOT NULL AND boot != ?', bootId());
    const lost = rows.map(({ key }) => key as StepKey);
    for (const key of lost) this.forget(key);
    return lost;
  }

  /** Remembers that a cache may get a version that is not durable. The mark counts once {@link flush} succeeds. */
  markCache(id: CacheId): void {
    this.#statements.run('INSERT OR REPLACE INTO unsynced_caches VALUES (?, ?)', id, bootId());
  }

  unmarkCaches(ids: Iterable<CacheId>): void {
    this.#statements.atOnce(() => {
      for (const id of ids) this.#statements.run('DELETE FROM unsynced_caches WHERE id = ?', id);
    });
  }

  /** Caches with the mark of {@link markCache}. */
  markedCaches(made: 'in this boot' | 'earlier'): CacheId[] {
    const sign = made === 'earlier' ? '!=' : '=';
    const rows = this.#statements.all(`SELECT id FROM unsynced_caches WHERE boot ${sign} ?`, bootId());
    return rows.map(({ id }) => id as CacheId);
  }

  /** Makes all changes so far durable. */
  async flush(): Promise<Result<void, StoreError>> {
    const before = [...this.#resurrectable];
    const synced = await syncFile(`${this.#db.location()}-wal`);
    if (synced.isOk()) for (const key of before) this.#resurrectable.delete(key);
    return synced;
  }

  /** These steps were of use: the last one most recently. Where there is no room to say so, they go a little early. */
  touch(keys: readonly StepKey[]): void {
    const now = this.#clock.now();
    ifWritable(() =>
      this.#statements.atOnce(() => {
        for (const key of keys) {
          this.#statements.run(
            'UPDATE steps SET used_ms = max(used_ms, ?), used_sequence = ? WHERE key = ?',
            ...[now, this.#next(), key],
          );
        }
      }),
    );
  }

  /**
   * A clock that was ahead left last uses in the future. Their age begins now, or they would never be old.
   *
   * @param unusedSince - Where this is in the future itself, the clock is behind, and nothing is changed.
   */
  mendClock(unusedSince: Date): void {
    const now = this.#clock.now();
    if (unusedSince.getTime() > now) return;
    ifWritable(() => this.#statements.run('UPDATE steps SET used_ms = ? WHERE used_ms > ?', now, now));
  }

  removing(key: StepKey): void {
    this.#untold.tell(key, 'removing');
  }

  /** It is not removed after all, and was saved before {@link removing}. */
  keep(key: StepKey): void {
    this.#untold.tell(key, 'saved');
  }

  /** Whether there is a row of it, also one that promises nothing. */
  has(key: StepKey): boolean {
    return this.#statements.get('SELECT 1 FROM live WHERE key = ?', key) !== undefined;
  }

  forget(key: StepKey): void {
    this.unsynced.delete(key);
    this.#resurrectable.add(key);
    this.#untold.tell(key, 'gone');
  }

  /** Remembers that what `quick` names has the same files as the saved step `key`, where there is room for that. */
  alias(quick: StepKey, key: StepKey): void {
    ifWritable(() => this.#statements.run('INSERT OR REPLACE INTO aliases VALUES (?, ?)', quick, key));
  }

  resolveAlias(quick: StepKey): StepKey | undefined {
    return this.#statements.value(
      "SELECT aliases.key FROM aliases JOIN live USING (key) WHERE quick = ? AND state = 'saved'",
      quick,
    ) as StepKey | undefined;
  }

  /** What a step was built on; undefined for a base image, or where nobody knows the step. */
  parentOf(key: StepKey): StepKey | undefined {
    return (this.#statements.value('SELECT parent FROM live WHERE key = ?', key) ?? undefined) as
      | StepKey
      | undefined;
  }

  children(key: StepKey): StepKey[] {
    return this.#statements
      .all('SELECT key FROM live WHERE parent = ?', key)
      .map((row) => row.key as StepKey);
  }

  hasChildren(key: StepKey): boolean {
    return this.#statements.get('SELECT 1 FROM live WHERE parent = ?', key) !== undefined;
  }

  /** The first step that nothing is built on and that `mayGo`, the least recently used first. */
  firstLeaf(mayGo: (step: SavedStep) => boolean): SavedStep | undefined {
    const leaf = this.#statements.find(
      `SELECT * FROM live AS s WHERE state != 'saving' AND NOT EXISTS (SELECT 1 FROM live WHERE parent = s.key)
       ORDER BY used_sequence`,
      (row) => mayGo(toStep(row)),
    );
    return leaf && toStep(leaf);
  }

  list(): SavedStep[] {
    return this.#statements
      .all("SELECT * FROM live WHERE state = 'saved' ORDER BY used_sequence")
      .map(toStep);
  }

  /** Saved steps of one kind, the most recently used first. */
  similar(op: string, limit: number): StepKey[] {
    const rows = this.#statements.all(
      "SELECT key FROM live WHERE op = ? AND state = 'saved' ORDER BY used_sequence DESC LIMIT ?",
      ...[op, limit],
    );
    return rows.map((row) => row.key as StepKey);
  }

  countSaved(): number {
    return Number(this.#statements.value("SELECT count(*) FROM live WHERE state = 'saved'"));
  }

  /** Every row, whatever its state. */
  states(): ReadonlyMap<StepKey, RowState> {
    const rows = this.#statements.all('SELECT key, state FROM live');
    return new Map(rows.map((row) => [row.key as StepKey, row.state as RowState]));
  }

  [Symbol.dispose](): void {
    closeIndexFile(this.#db);
  }

  #restore(step: RestoredStep): void {
    this.#statements.run(
      `INSERT INTO steps VALUES (?, ?, 'saved', ?, ?, ?, ?, ?, ?, ?)`,
      ...[step.key, step.parent ?? null, step.op, step.title, step.savedAt.getTime(), step.usedAt.getTime()],
      ...[this.#next(), step.milliseconds, step.isDurable ? null : bootId()],
    );
    if (!step.isDurable) this.unsynced.add(step.key);
  }

  #next(): number {
    this.#sequence += 1;
    return this.#sequence;
  }
}
