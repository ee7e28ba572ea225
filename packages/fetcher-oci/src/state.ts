import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import createDebug from 'debug';

const debug = createDebug('snapstep:fetcher-oci');

/**
 * What the fetcher remembers so that it need not look again: digests of files that did not change, and
 * what references with a digest mean. All of it may be lost: then it is found out again.
 *
 * Several processes may share it.
 */
export interface State extends Disposable {
  /** The digest a file had when its stamp was the same. */
  fileDigest(file: FileStamp): string | undefined;
  rememberFiles(files: readonly (FileStamp & { readonly digest: string })[]): void;
  pin(reference: string): string | undefined;
  rememberPin(reference: string, digest: string): void;
}

export interface FileStamp {
  /** Which file it is: device and inode. */
  readonly file: string;
  /** What changes whenever the file does: size, mtime and ctime. */
  readonly stamp: string;
}

/**
 * Opens `fetcher.db` in a directory that exists. A damaged file is thrown away. Where none can be opened, as on a full
 * disk, what is found out is remembered in memory.
 */
export function openState(directory: string): State {
  const path = join(directory, 'fetcher.db');
  try {
    return new SqliteState(openDatabase(path));
  } catch (error) {
    if (!isSqlite(error)) throw error;
    debug('%s: %s', path, error.message);
    if (!isDamaged(error)) return new SqliteState(openDatabase(':memory:'));
    for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
    return new SqliteState(openDatabase(path));
  }
}

/** Rows of files that are gone are never looked for again; this many are kept before all are dropped. */
const MAX_ROWS = 500_000;

function openDatabase(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 10_000 });
  try {
    database.exec(`
      PRAGMA journal_mode = WAL;
      PRAGMA synchronous = NORMAL;
      CREATE TABLE IF NOT EXISTS file (file TEXT PRIMARY KEY, stamp TEXT, digest TEXT) STRICT, WITHOUT ROWID;
      CREATE TABLE IF NOT EXISTS pin (reference TEXT PRIMARY KEY, digest TEXT) STRICT, WITHOUT ROWID;
    `);
    for (const table of ['file', 'pin']) {
      database.exec(`DELETE FROM ${table} WHERE (SELECT count(*) FROM ${table}) > ${MAX_ROWS}`);
    }
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

class SqliteState implements State {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  fileDigest({ file, stamp }: FileStamp): string | undefined {
    return this.#digest('SELECT digest FROM file WHERE file = ? AND stamp = ?', file, stamp);
  }

  rememberFiles(files: readonly (FileStamp & { readonly digest: string })[]): void {
    if (files.length === 0) return;
    this.#write(() => {
      const insert = this.#statement('INSERT OR REPLACE INTO file VALUES (?, ?, ?)');
      for (const each of files) insert.run(each.file, each.stamp, each.digest);
    });
  }

  pin(reference: string): string | undefined {
    return this.#digest('SELECT digest FROM pin WHERE reference = ?', reference);
  }

  rememberPin(reference: string, digest: string): void {
    this.#write(() => {
      this.#statement('INSERT OR REPLACE INTO pin VALUES (?, ?)').run(reference, digest);
    });
  }

  [Symbol.dispose](): void {
    if (this.#database.isOpen) this.#database.close();
  }

  /** A full disk must not fail a build only because something could not be remembered. */
  #write(insert: () => void): void {
    try {
      this.#database.exec('BEGIN IMMEDIATE');
      insert();
      this.#database.exec('COMMIT');
    } catch (error) {
      if (!isSqlite(error)) throw error;
      debug('nothing is remembered: %s', error.message);
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
    }
  }

  #digest(sql: string, ...values: readonly string[]): string | undefined {
    return this.#statement(sql).get(...values)?.digest as string | undefined;
  }

  readonly #statements = new Map<string, ReturnType<DatabaseSync['prepare']>>();

  #statement(sql: string): ReturnType<DatabaseSync['prepare']> {
    const known = this.#statements.get(sql) ?? this.#database.prepare(sql);
    this.#statements.set(sql, known);
    return known;
  }
}

/** SQLITE_CORRUPT and SQLITE_NOTADB of https://www.sqlite.org/rescode.html */
function isDamaged(error: unknown): boolean {
  return isSqlite(error) && (error.errcode === 11 || error.errcode === 26);
}

function isSqlite(error: unknown): error is Error & { readonly errcode: number } {
  return error instanceof Error && 'errcode' in error && typeof error.errcode === 'number';
}
