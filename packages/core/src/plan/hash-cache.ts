import type { BigIntStats } from 'node:fs';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import type { HostPath } from '../backend/names.ts';

/** A file that changed so lately may change again without its times showing it. */
const SETTLED_MS = 100;
const MOST_ROWS = 1_000_000;

/**
 * Remembers the SHA-256 of files by device, inode, size, mtime and ctime, so that an unchanged file is not
 * read again. It is only a cache: when `hashes.db` cannot be read, it starts empty.
 */
export class HashCache implements Disposable {
  readonly #db: DatabaseSync;
  readonly #find: ReturnType<DatabaseSync['prepare']>;
  readonly #insert: ReturnType<DatabaseSync['prepare']>;
  #pending: [BigIntStats, string][] = [];

  private constructor(db: DatabaseSync) {
    this.#db = db;
    db.exec(`
      PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF;
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
    try {
      return new HashCache(new DatabaseSync(path, { timeout: 5000 }));
    } catch {
      for (const suffix of ['', '-wal', '-shm']) rmSync(path + suffix, { force: true });
      return new HashCache(new DatabaseSync(path, { timeout: 5000 }));
    }
  }

  find(stat: BigIntStats): string | undefined {
    return this.#find.get(...identity(stat))?.sha256 as string | undefined;
  }

  /** Kept at the next {@link flush}. */
  remember(stat: BigIntStats, sha256: string): void {
    const newest = stat.ctimeNs > stat.mtimeNs ? stat.ctimeMs : stat.mtimeMs;
    if (Date.now() - Number(newest) > SETTLED_MS) this.#pending.push([stat, sha256]);
  }

  flush(): void {
    if (this.#pending.length === 0) return;
    const rows = this.#pending;
    this.#pending = [];
    this.#db.exec('BEGIN');
    for (const [stat, sha256] of rows) this.#insert.run(...identity(stat), sha256);
    this.#db.exec('COMMIT');
  }

  [Symbol.dispose](): void {
    this.flush();
    this.#db.close();
  }
}

function identity(stat: BigIntStats): [bigint, bigint, bigint, bigint, bigint] {
  return [stat.dev, stat.ino, stat.size, stat.mtimeNs, stat.ctimeNs].map((value) =>
    BigInt.asIntN(64, value),
  ) as [bigint, bigint, bigint, bigint, bigint];
}
