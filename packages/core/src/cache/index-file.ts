import { renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { DatabaseSync } from 'node:sqlite';
import createDebug from 'debug';

const debug: createDebug.Debugger = createDebug('snapstep:index');

/**
 * What `user_version` says once the index knows all that is in the store. An index of an older version is emptied: it
 * is from before a change of the keys, so nothing in it can be asked for again.
 */
export const VERSION = 2;

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
    run_ms INTEGER NOT NULL,
    -- The boot in which it was saved; NULL once it is durable.
    boot TEXT
  ) STRICT;
  CREATE INDEX IF NOT EXISTS steps_parent ON steps (parent);
  CREATE INDEX IF NOT EXISTS steps_used ON steps (used_sequence);
  CREATE INDEX IF NOT EXISTS steps_boot ON steps (boot) WHERE boot IS NOT NULL;
  CREATE TABLE IF NOT EXISTS aliases (
    quick TEXT PRIMARY KEY,
    key TEXT NOT NULL REFERENCES steps (key) ON DELETE CASCADE
  ) STRICT;
  CREATE INDEX IF NOT EXISTS aliases_key ON aliases (key);
  -- Cache volumes that may have a version which is not durable, and the boot in which it may have been published.
  CREATE TABLE IF NOT EXISTS unsynced_caches (id TEXT PRIMARY KEY, boot TEXT NOT NULL) STRICT;

  -- What the file has had no room for yet: see IndexDb.
  CREATE TEMP TABLE IF NOT EXISTS untold (
    key TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('saved', 'removing', 'gone'))
  ) STRICT;
  CREATE TEMP VIEW IF NOT EXISTS live AS
    SELECT key, parent, ifnull(untold.state, steps.state) AS state, op, title, saved_ms, used_ms, used_sequence,
      run_ms, boot
    FROM main.steps LEFT JOIN temp.untold USING (key)
    WHERE untold.state IS NOT 'gone';
`;

/** What stood in an index of version 1. */
const EMPTY_OLD = `
  DROP TABLE IF EXISTS aliases;
  DROP TABLE IF EXISTS steps;
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
    if (!isDamage(error) && !isDirectory(path)) throw error;
    debug('%s is damaged: %o', path, error);
    renameSync(path, `${path}.damaged-${Date.now()}`);
    for (const suffix of ['-wal', '-shm']) rmSync(path + suffix, { recursive: true, force: true });
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

/**
 * SQLITE_READONLY, SQLITE_IOERR, SQLITE_FULL and SQLITE_CANTOPEN of https://www.sqlite.org/rescode.html: the disk does
 * not take a change now, and the file is as it was.
 */
export function isUnwritable(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) & 0xff : 0;
  return [8, 10, 13, 14].includes(code);
}

class DamagedIndex extends Error {}

/** SQLITE_CORRUPT and SQLITE_NOTADB of https://www.sqlite.org/rescode.html, or what the health check found. */
function isDamage(error: unknown): boolean {
  if (error instanceof DamagedIndex) return true;
  return error instanceof Error && 'errcode' in error && (error.errcode === 11 || error.errcode === 26);
}

function isDirectory(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() ?? false;
}

/**
 * One process owns the index, so its log needs no memory that processes share. That memory would be a mapped file, and a
 * write to it kills the process (SIGBUS) where the disk is full: `locking_mode` comes before `journal_mode`.
 *
 * @throws If the file is not a healthy index of this version.
 */
function openDatabase(path: string): DatabaseSync {
  const db = new DatabaseSync(path, { timeout: 5000, enableForeignKeyConstraints: true });
  try {
    db.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL');
    db.exec('PRAGMA temp_store = MEMORY');
    const version = Number(db.prepare('PRAGMA user_version').get()?.user_version);
    if (version > VERSION) throw new Error(`${path} is of version ${version}, not ${VERSION}`);
    const health = db.prepare('PRAGMA quick_check(1)').get()?.quick_check;
    if (health !== 'ok') throw new DamagedIndex(`${path} is damaged: ${health}`);
    if (version > 0 && version < VERSION)
      db.exec(`BEGIN; ${EMPTY_OLD} PRAGMA user_version = ${VERSION}; COMMIT`);
    db.exec(SCHEMA);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}
