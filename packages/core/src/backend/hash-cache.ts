import type { BigIntStats } from 'node:fs';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import createDebug from 'debug';
import { bootId } from './boot-id.ts';
import type { BytePath } from './byte-path.ts';
import { type FileRow, HashTable } from './hash-table.ts';
import type { HostPath } from './names.ts';

/** A file that changed so lately may change again without its times showing it: they move in steps of up to 10 ms. */
const SETTLED_MS = 100;
/** On disks that keep whole seconds, as ext4 with small inodes and HFS+ do, or every other one. */
const SETTLED_SECONDS_MS = 2100;
const SECOND = 1_000_000_000n;
const BATCH = 1000;
const MOST_ROWS = 500_000;
/** These two are of https://www.sqlite.org/rescode.html. */
const SQLITE_BUSY = 5;
const SQLITE_FULL = 13;

const debug: createDebug.Debugger = createDebug('snapstep:hashes');

export interface Sharing {
  /**
   * Other processes may have the file: then this one remembers in memory. By default nobody else may have it, and
   * whoever does is given up.
   */
  readonly isShared?: boolean;
}

/**
 * Remembers the SHA-256 of files by their name and what `lstat` says of them, so that an unchanged file is not read
 * again. Names are those of `FileNames`, and last until the machine is started again.
 *
 * It is only a cache, and never a reason to fail: where `hashes.db` is damaged, at whatever time that shows, it starts
 * empty; and where the disk lets no file be, in memory.
 */
export class HashCache implements Disposable {
  readonly #path: string;
  readonly #sharing: Sharing;
  /** Undefined once it is closed. */
  #table: HashTable | undefined;
  #pending: (FileRow & { readonly sha256: string })[] = [];

  private constructor(path: string, sharing: Sharing) {
    this.#path = path;
    this.#sharing = sharing;
    this.#table = openTable(path, sharing);
  }

  static open(stateDir: HostPath, sharing: Sharing = {}): HashCache {
    return new HashCache(join(stateDir, 'hashes.db'), sharing);
  }

  find(name: BytePath, stat: BigIntStats): string | undefined {
    return this.#use((table) => table.find({ name, stamp: stampOf(stat) }));
  }

  /**
   * Kept at the next {@link flush}, or before if there are many; not at all if the file had changed so lately when it
   * was read that another change might not show.
   *
   * @param readAt - When reading it began, as `Date.now` tells.
   */
  remember(
    name: BytePath,
    {
      stat,
      sha256,
      readAt,
    }: { readonly stat: BigIntStats; readonly sha256: string; readonly readAt: number },
  ): void {
    const newest = Math.max(Number(stat.ctimeMs), Number(stat.mtimeMs));
    const settled = stat.ctimeNs % SECOND === 0n ? SETTLED_SECONDS_MS : SETTLED_MS;
    if (readAt - newest <= settled) return;
    this.#pending.push({ name, stamp: stampOf(stat), sha256 });
    if (this.#pending.length >= BATCH) this.flush();
  }

  /** What cannot be kept, such as on a full disk, is hashed again next time. */
  flush(): void {
    const rows = this.#pending;
    this.#pending = [];
    if (rows.length === 0) return;
    this.#use((table) => insertIfRoom(table, rows));
  }

  /**
   * Removes what is remembered under names that begin with `prefix` and a slash; on a disk that is too full for it, all
   * that is remembered.
   */
  forget(prefix: BytePath): void {
    this.#pending = this.#pending.filter(({ name }) => !name.startsWith(`${prefix}/`));
    this.#use((table) => table.forget(prefix));
  }

  [Symbol.dispose](): void {
    this.flush();
    this.#table?.close();
    this.#table = undefined;
  }

  /** Whatever a table fails with, another is begun. Once it is closed, its file may be somebody else's. */
  #use<T>(work: (table: HashTable) => T): T | undefined {
    const table = this.#table;
    if (table === undefined) return undefined;
    try {
      return work(table);
    } catch (error) {
      debug('%s cannot be used: %o', this.#path, error);
      table.close();
      removeFiles(this.#path);
      this.#table = openTable(this.#path, this.#sharing);
      return undefined;
    }
  }
}

/** On a full disk nothing is wrong with a table. */
function insertIfRoom(table: HashTable, rows: Parameters<HashTable['insert']>[0]): void {
  try {
    table.insert(rows);
  } catch (error) {
    if (resultCode(error) !== SQLITE_FULL) throw error;
    debug('there is no room for %d hashes: %o', rows.length, error);
  }
}

function openTable(path: string, { isShared = false }: Sharing): HashTable {
  const options = { boot: bootId(), mostRows: MOST_ROWS };
  for (const place of [path, path]) {
    try {
      return HashTable.open(place, options);
    } catch (error) {
      debug('%s cannot be used: %o', place, error);
      if (isShared && resultCode(error) === SQLITE_BUSY) break;
      removeFiles(path);
    }
  }
  return HashTable.open(':memory:', options);
}

/** Whatever lies there, a directory too. */
function removeFiles(path: string): void {
  try {
    for (const suffix of ['', '-wal', '-journal']) rmSync(path + suffix, { recursive: true, force: true });
  } catch (error) {
    debug('%s stays: %o', path, error);
  }
}

/** Of what SQLite did not throw, undefined. */
function resultCode(error: unknown): unknown {
  return (error as { readonly errcode?: unknown }).errcode;
}

function stampOf({ ino, size, mtimeNs, ctimeNs, birthtimeNs }: BigIntStats): string {
  return [ino, size, mtimeNs, ctimeNs, birthtimeNs].join(' ');
}
