import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { err, ok, type Result } from 'neverthrow';
import { isDiskFull } from './disk-full.ts';
import { failed, type StoreError } from './failures.ts';
import type { HostPath } from './names.ts';

/** Ownership of a directory. Disposing it, or the end of the process in any way, gives it up. */
export interface OwnerLock extends AsyncDisposable {
  readonly directory: HostPath;
}

/**
 * Makes this process the only owner of a directory, which must exist.
 *
 * The lock is SQLite's exclusive lock on `owner.lock`, which the kernel releases with the process. It also
 * holds against a second call from the same process.
 *
 * @returns `busy`, with the pid of the owner, if another has it.
 */
export function lockDirectory(directory: HostPath): Result<OwnerLock, StoreError> {
  const pidFile = join(directory, 'owner.pid');
  let database: DatabaseSync | undefined;
  try {
    database = new DatabaseSync(join(directory, 'owner.lock'), { timeout: 0 });
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    writeOwner(pidFile);
  } catch (error) {
    database?.close();
    if (isLocked(error))
      return err({ type: 'busy', message: `${directory} is in use by ${readOwner(pidFile)}` });
    return err(failed(`cannot lock ${directory}: ${error instanceof Error ? error.message : error}`, error));
  }
  return ok({ directory, [Symbol.asyncDispose]: async () => void (database.isOpen && database.close()) });
}

/** SQLITE_BUSY and SQLITE_LOCKED of https://www.sqlite.org/rescode.html */
function isLocked(error: unknown): boolean {
  return error instanceof Error && 'errcode' in error && (error.errcode === 5 || error.errcode === 6);
}

/** On a full disk nobody is named: it must be possible to open a store there, and to make room. */
function writeOwner(pidFile: string): void {
  try {
    writeFileSync(pidFile, `${process.pid}\n`);
  } catch (error) {
    if (!isDiskFull(error as Error)) throw error;
    rmSync(pidFile, { force: true });
  }
}

function readOwner(pidFile: string): string {
  try {
    return `process ${readFileSync(pidFile, 'utf8').trim()}`;
  } catch {
    return 'another process';
  }
}
