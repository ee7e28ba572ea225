import type { BigIntStats } from 'node:fs';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import createDebug from 'debug';
import type { HostPath } from '../backend/names.ts';

/** A file that changed so lately may change again without its times showing it: they move in steps of up to 10 ms. */
const SETTLED_MS = 100;
/** On disks that keep whole seconds, as ext4 with small inodes and HFS+ do, or every other one. */
const SETTLED_SECONDS_MS = 2100;
const SECOND = 1_000_000_000n;
const MOST_ROWS = 1_000_000;
const BATCH = 1000;

const debug: createDebug.Debugger = createDebug('snapstep:plan');

type Identity = [dev: bigint, ino: bigint, size: bigint, mtime: bigint, ctime: bigint];

/**
 * Remembers the SHA-256 of files by device, inode, size, mtime and ctime, so that an unchanged file is not
 * read again. It is only a cache: when `hashes.db` cannot be read, it starts empty; and in memory, when the disk is full.
 */
export class HashCache implements Disposable {
  readonly #db: DatabaseSync;
  readonly #find: ReturnType<DatabaseSync['prepare']>;
  readonly #insert: ReturnType<DatabaseSync['prepare']>;
  #pending: [...Identity, string][] = [];

  private constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec(`
      PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
      CREATE TABLE IF NOT EXISTS hashes (
        dev INTEGER, ino INTEGER, size INTEGER, mtime INTEGER, ctime INTEGER, sha256 TEXT NOT NULL,
        PRIMARY KEY (dev, ino)
      ) STRICT`);
    this.#find = db.prepare(
      'SELECT sha256 FROM hashes WHERE dev = ? AND ino = ? AND size = ? AND mtime = ? AND ctime = ?',
    );
    this.#insert = db.prepare('INSERT OR REPLACE INTO hashes VALUES (?, ?, ?, ?, ?, ?)');
    const rows = Number(db.prepare('SELECT count(*) AS n FROM hashes').get()?.n);
    if (rows > MOST_ROWS) db.exec('DELETE FROM hashes');
  }

  static open(stateDir: HostPath): HashCache {
    const path = join(stateDir, 'hashes.db');
    for (const place of [path, path, ':memory:']) {
      const db = new DatabaseSync(place, { timeout: 5000, open: false });
      try {
        db.open();
        return new HashCache(db);
      } catch (error) {
        if (db.isOpen) db.close();
        debug('%s cannot be used: %o', place, error);
        for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
      }
    }
    throw new Error('SQLite has no memory for a cache');
  }

  find(stat: BigIntStats): string | undefined {
    return this.#find.get(...identity(stat))?.sha256 as string | undefined;
  }

  /**
   * Kept at the next {@link flush}, or before if there are many; not at all if the file had changed so lately when it
   * was read that another change might not show.
   *
   * @param readAt - When reading it began, as `Date.now` tells.
   */
  remember(stat: BigIntStats, sha256: string, readAt: number): void {
    const newest = stat.ctimeNs > stat.mtimeNs ? stat.ctimeMs : stat.mtimeMs;
    const settled = stat.ctimeNs % SECOND === 0n ? SETTLED_SECONDS_MS : SETTLED_MS;
    if (readAt - Number(newest) <= settled) return;
    this.#pending.push([...identity(stat), sha256]);
    if (this.#pending.length >= BATCH) this.flush();
  }

  /** What cannot be kept, such as on a full disk, is hashed again next time. */
  flush(): void {
    const rows = this.#pending;
    this.#pending = [];
    if (rows.length === 0) return;
    try {
      this.#db.exec('BEGIN');
      for (const row of rows) this.#insert.run(...row);
      this.#db.exec('COMMIT');
    } catch (error) {
      debug('hashes are not kept: %o', error);
      if (this.#db.isTransaction) this.#db.exec('ROLLBACK');
    }
  }

  [Symbol.dispose](): void {
    this.flush();
    this.#db.close();
  }
}

function identity(stat: BigIntStats): Identity {
  const { dev, ino, size, mtimeNs, ctimeNs } = stat;
  return [BigInt.asIntN(64, dev), BigInt.asIntN(64, ino), size, mtimeNs, ctimeNs];
}
