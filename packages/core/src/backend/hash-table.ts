import { DatabaseSync } from 'node:sqlite';
import { crc32 } from 'node:zlib';

/** What a file was when it was read. Its name is unique to it as long as the table is kept. */
export interface FileRow {
  readonly name: string;
  /** Everything that changes when it is written to. */
  readonly stamp: string;
}

export interface TableOptions {
  /** Names this boot of the machine. */
  readonly boot: string;
  /** Rows beyond them empty the table first. */
  readonly mostRows: number;
}

/**
 * The table behind the `HashCache`, in a file or in memory. Nothing is synced, so what another boot of the machine left
 * may be anything: a file of another boot is refused. Each row has a checksum, which SQLite's pages lack.
 *
 * Every method throws what SQLite says, or {@link Unusable}.
 */
export class HashTable {
  readonly #db: DatabaseSync;
  readonly #find: ReturnType<DatabaseSync['prepare']>;
  readonly #insert: ReturnType<DatabaseSync['prepare']>;
  readonly #forget: ReturnType<DatabaseSync['prepare']>;
  readonly #mostRows: number;
  /** At least as many as there are: those that replace others are counted too. */
  #rows: number;

  private constructor(db: DatabaseSync, { boot, mostRows }: TableOptions) {
    this.#db = db;
    this.#mostRows = mostRows;
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF');
    const isNew = db.prepare('SELECT 1 FROM sqlite_schema').get() === undefined;
    if (isNew) db.exec(SCHEMA);
    if (isNew) db.prepare('INSERT INTO boot VALUES (?)').run(boot);
    else if (db.prepare('SELECT 1 FROM boot WHERE id = ?').get(boot) === undefined)
      throw new Unusable('it is of another boot');
    this.#find = db.prepare('SELECT sha256, crc FROM file WHERE name = ? AND stamp = ?');
    this.#insert = db.prepare('INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?)');
    this.#forget = db.prepare("DELETE FROM file WHERE name >= ? || '/' AND name < ? || '0'");
    this.#rows = (db.prepare('SELECT count(*) AS n FROM file').get() as { readonly n: number }).n;
  }

  /** @param path - `:memory:` for a table that goes with the process. */
  static open(path: string, options: TableOptions): HashTable {
    const db = new DatabaseSync(path, { timeout: 100 });
    try {
      return new HashTable(db, options);
    } catch (error) {
      db.close();
      throw error;
    }
  }

  find(file: FileRow): string | undefined {
    const row = this.#find.get(file.name, file.stamp);
    if (row === undefined) return undefined;
    const sha256 = `${row.sha256}`;
    if (row.crc !== checksum(file, sha256)) throw new Unusable(`the row of ${file.name} is damaged`);
    return sha256;
  }

  /** All of them, or none. Rows of files that are gone are never looked for again: now and then all go. */
  insert(rows: readonly (FileRow & { readonly sha256: string })[]): void {
    const left = this.#rows + rows.length > this.#mostRows ? 0 : this.#rows;
    this.#db.exec('BEGIN');
    try {
      if (left === 0) this.#db.exec('DELETE FROM file');
      for (const row of rows) this.#insert.run(row.name, row.stamp, row.sha256, checksum(row, row.sha256));
      this.#db.exec('COMMIT');
    } catch (error) {
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
      throw error;
    }
    this.#rows = left + rows.length;
  }

  /** Removes the rows of all names that begin with `prefix` and a slash. */
  forget(prefix: string): void {
    this.#forget.run(prefix, prefix);
  }

  /** Harmless where it is closed. */
  close(): void {
    this.#db[Symbol.dispose]();
  }
}

/** What SQLite found no fault with. */
class Unusable extends Error {}

const SCHEMA = `
  CREATE TABLE boot (id TEXT NOT NULL) STRICT;
  CREATE TABLE file (
    name TEXT PRIMARY KEY, stamp TEXT NOT NULL, sha256 TEXT NOT NULL, crc INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID`;

function checksum({ name, stamp }: FileRow, sha256: string): number {
  return crc32(`${name}\n${stamp}\n${sha256}`);
}
