import { renameSync, rmSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import createDebug from 'debug';

const debug: createDebug.Debugger = createDebug('snapstep:index');

/** What `user_version` says once the index knows all that is in the store. */
export const VERSION = 1;

const SCHEMA = `
  CREATE TABLE IF NOT EXISTS steps (
    key TEXT PRIMARY KEY,
    parent TEXT REFERENCES steps (key) ON DELETE SET NULL,
    state TEXT NOT NULL CHECK (state IN ('saving', 'saved', 'removing')),
    op TEXT NOT NULL,
    title TEXT NOT NULL,
    saved_ms INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    used_sequence INTEGER NOT NULL,
    run_ms INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX IF NOT EXISTS steps_parent ON steps (parent);
  CREATE INDEX IF NOT EXISTS steps_used ON steps (used_sequence);
  CREATE TABLE IF NOT EXISTS aliases (
    quick TEXT PRIMARY KEY,
    key TEXT NOT NULL REFERENCES steps (key) ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX IF NOT EXISTS aliases_key ON aliases (key);
`;

/**
 * Opens the file of an index, or a new one in the place of a file that is damaged, which is kept beside it.
 *
 * @throws What SQLite says, where the file may well be whole: the disk is full, or it is of a newer version.
 */
export function openIndexFile(path: string): DatabaseSync {
  try {
    return openDatabase(path);
  } catch (error) {
    if (!isDamage(error)) throw error;
    renameSync(path, `${path}.damaged-${Date.now()}`);
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { force: true });
    return openDatabase(path);
  }
}

/**
 * Closes the file. SQLite then deletes the log of its changes, and could not make a new one if the disk was full when
 * the index is opened again: an empty one is left in its place.
 */
export function closeIndexFile(db: DatabaseSync): void {
  if (!db.isOpen) return;
  const path = db.location();
  db.close();
  try {
    writeFileSync(`${path}-wal`, '', { flag: 'a' });
  } catch (error) {
    debug('%s has no log: %o', path, error);
  }
}

/** SQLITE_FULL of https://www.sqlite.org/rescode.html: the disk has no room for a change. */
export function isDatabaseFull(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && error.errcode === 13;
}

class DamagedIndex extends Error {}

/** SQLITE_CORRUPT and SQLITE_NOTADB of https://www.sqlite.org/rescode.html, or what the health check found. */
function isDamage(error: unknown): boolean {
  if (error instanceof DamagedIndex) return true;
  return error instanceof Error && 'errcode' in error && (error.errcode === 11 || error.errcode === 26);
}

/**
 * The log of changes needs some memory that processes share, in a file; but not where one process locks out all others,
 * also those that only read. That is for a disk on which there is no room for the file.
 */
function openDatabase(path: string): DatabaseSync {
  try {
    return openAs(path, 'NORMAL');
  } catch (error) {
    if (!isDiskTrouble(error)) throw error;
    debug('%s is opened for one process only: %o', path, error);
    return openAs(path, 'EXCLUSIVE');
  }
}

/** SQLITE_IOERR, SQLITE_FULL and SQLITE_CANTOPEN of https://www.sqlite.org/rescode.html, of any kind. */
function isDiskTrouble(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  return [10, 13, 14].includes(code);
}

/** @throws If the file is not a healthy index of this version. */
function openAs(path: string, locking: 'NORMAL' | 'EXCLUSIVE'): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 5000, enableForeignKeyConstraints: true });
  try {
    db.exec(`PRAGMA locking_mode = ${locking}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL`);
    const version = db.prepare('PRAGMA user_version').get()?.user_version;
    if (version !== 0 && version !== VERSION)
      throw new Error(`${path} is of version ${version}, not ${VERSION}`);
    const health = db.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    if (health !== 'ok') throw new DamagedIndex(`${path} is damaged: ${health}`);
    db.exec(SCHEMA);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
