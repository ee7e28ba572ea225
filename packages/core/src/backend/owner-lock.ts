import { chmodSync, constants, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { setTimeout as delay } from 'node:timers/promises';
import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import { type Busy, type Failed, failed } from './failures.ts';
import { flockDirectory } from './flock.ts';
import { holdDirectory } from './held-directories.ts';
import type { HostPath } from './names.ts';

const debug: createDebug.Debugger = createDebug('snapstep:lock');
const LOCK_FILE = 'owner.lock';

/** What a killed owner was about to start has its locks until it is a program of its own. On a busy machine that takes. */
const DYING_MS = 3000;
const PAUSE_MS = 20;

/** Ownership of a directory. Disposing it, or the end of the process in any way, gives it up. */
export interface OwnerLock extends AsyncDisposable {
  readonly directory: HostPath;
}

/**
 * Makes this process the only owner of a directory, which must exist.
 *
 * There are two locks, which the kernel releases with the process and which also hold against a second call from the
 * same process: SQLite's exclusive lock on `owner.lock`, and flock(2) on the directory, where that can be had. The
 * first is lost when this process reads the file elsewhere, so {@link heldDirectory} knows the directory.
 *
 * @returns `busy`, with the pid of the owner, if another has it: at once if that one lives, else after a moment. `failed`
 * if others may put things into the directory: its files would be theirs to choose.
 */
export async function lockDirectory(directory: HostPath): Promise<Result<OwnerLock, Busy | Failed>> {
  const stranger = strangerTo(directory);
  if (stranger !== undefined) return err(failed(`cannot use ${directory}: ${stranger}`));
  const pidFile = join(directory, 'owner.pid');
  const patience = performance.now() + DYING_MS;
  for (;;) {
    const lock = await tryLock(directory, pidFile);
    if (lock !== 'busy') return lock;
    const owner = readOwner(pidFile);
    if (owner === undefined || isAlive(owner) || performance.now() > patience)
      return err({
        type: 'busy',
        message: `${directory} is in use by ${owner ? `process ${owner}` : 'another process'}`,
      });
    await delay(PAUSE_MS);
  }
}

/** Who else may put things into a directory, as a sentence. What cannot be looked at is told when it is locked. */
function strangerTo(directory: HostPath): string | undefined {
  const stat = statSync(directory, { throwIfNoEntry: false });
  const own = process.geteuid?.();
  if (stat === undefined || own === undefined) return undefined;
  if (stat.uid !== own) return `it belongs to user ${stat.uid}, and this process is user ${own}`;
  return (stat.mode & 0o002) === 0 ? undefined : 'everybody may write to it; take that away with chmod o-w';
}

async function tryLock(directory: HostPath, pidFile: string): Promise<Result<OwnerLock, Failed> | 'busy'> {
  const locks: AsyncDisposable[] = [];
  const release = async (): Promise<void> => {
    for (const lock of locks.splice(0).reverse()) await lock[Symbol.asyncDispose]();
  };
  try {
    await takeLocks(directory, locks);
    writeOwner(pidFile);
  } catch (error) {
    await release();
    if (isLocked(error)) return 'busy';
    return err(failed(`cannot lock ${directory}: ${error instanceof Error ? error.message : error}`, error));
  }
  return ok({ directory, [Symbol.asyncDispose]: release });
}

/** @throws {@link Locked}, or what SQLite or the system says. What is in `locks` then is the caller's to release. */
async function takeLocks(directory: HostPath, locks: AsyncDisposable[]): Promise<void> {
  const lock = await flockDirectory(directory);
  if (lock === 'busy') throw new Locked();
  if (lock !== 'unavailable') locks.push(lock);
  const database = openLockFile(join(directory, LOCK_FILE));
  locks.push({ [Symbol.asyncDispose]: async () => database.close() });
  const held = holdDirectory(directory, [LOCK_FILE]);
  locks.push({ [Symbol.asyncDispose]: async () => held[Symbol.dispose]() });
}

/** What is no database is replaced: nobody can have a lock on it, or SQLite would have said that first. */
function openLockFile(path: string): DatabaseSync {
  try {
    return lockFile(path);
  } catch (error) {
    if (isLocked(error)) throw error;
    rmSync(path, { recursive: true, force: true });
    return lockFile(path);
  }
}

function lockFile(path: string): DatabaseSync {
  const database = new DatabaseSync(path, { timeout: 0 });
  try {
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE');
    chmodSync(path, 0o600);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

class Locked extends Error {}

/** SQLITE_BUSY and SQLITE_LOCKED of https://www.sqlite.org/rescode.html */
function isLocked(error: unknown): boolean {
  if (error instanceof Locked) return true;
  return error instanceof Error && 'errcode' in error && (error.errcode === 5 || error.errcode === 6);
}

/**
 * Where it cannot be written, as on a full disk, nobody is named: what matters is the lock. It is a new file each time,
 * for a link in its place leads to a file of others, and a pipe to a wait without an end.
 */
function writeOwner(pidFile: string): void {
  try {
    rmSync(pidFile, { recursive: true, force: true });
    writeFileSync(pidFile, `${process.pid}\n`, { flag: 'wx', mode: 0o600 });
  } catch (error) {
    debug('%s cannot be written: %o', pidFile, error);
    rmSync(pidFile, { recursive: true, force: true });
  }
}

/** @returns A pid; undefined where none is told. */
function readOwner(pidFile: string): number | undefined {
  try {
    const flag = constants.O_RDONLY | constants.O_NONBLOCK;
    const pid = Number(readFileSync(pidFile, { encoding: 'utf8', flag }));
    return Number.isSafeInteger(pid) && pid > 0 ? pid : undefined;
  } catch {
    return undefined;
  }
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return !(error instanceof Error && 'code' in error && error.code === 'ESRCH');
  }
}
