import type { DatabaseSync, StatementSync } from 'node:sqlite';

type Value = string | number | null;

/** The statements of one database, each of which is compiled once. */
export class Statements {
  readonly #db: DatabaseSync;
  readonly #prepared = new Map<string, StatementSync>();

  constructor(db: DatabaseSync) {
    this.#db = db;
  }

  run(sql: string, ...values: readonly Value[]): void {
    this.#prepare(sql).run(...values);
  }

  get(sql: string, ...values: readonly Value[]): Record<string, unknown> | undefined {
    return this.#prepare(sql).get(...values);
  }

  /** The first column of the first row. */
  value(sql: string, ...values: readonly Value[]): unknown {
    return Object.values(this.get(sql, ...values) ?? {})[0];
  }

  all(sql: string, ...values: readonly Value[]): Record<string, unknown>[] {
    return this.#prepare(sql).all(...values);
  }

  /** The first row that fits, without looking at those after it. */
  find(sql: string, fits: (row: Record<string, unknown>) => boolean): Record<string, unknown> | undefined {
    for (const row of this.#prepare(sql).iterate()) if (fits(row)) return row;
    return undefined;
  }

  /** All changes that `work` makes, or none. */
  atOnce(work: () => void): void {
    this.#db.exec('BEGIN');
    try {
      work();
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
  }

  #prepare(sql: string): StatementSync {
    let statement = this.#prepared.get(sql);
    if (statement === undefined) {
      statement = this.#db.prepare(sql);
      this.#prepared.set(sql, statement);
    }
    return statement;
  }
}
