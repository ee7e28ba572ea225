import {
  type Cancelled,
  type CommandFailed,
  commandFailure,
  err,
  ok,
  type Result,
  runCommand,
  type StoreError,
} from '@snapstep/core/backend';
import { parseGenerations } from './generations.ts';

/*
 * A function for each use of btrfs(8). Who is not root goes through `sudo -n`, except for making an empty
 * subvolume, which anybody may do and which then belongs to him.
 */

/** find(1) refuses `-execdir` where the PATH has a relative directory. */
const SAFE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

interface Abortable {
  readonly signal?: AbortSignal;
}

export function createSubvolume(path: string, options: Abortable = {}): Promise<Result<void, StoreError>> {
  return silent(runCommand('btrfs', ['-q', 'subvolume', 'create', path], options));
}

/** Makes `to` a writable snapshot of the subvolume `from`. It does not hold the subvolumes inside `from`. */
export function snapshot(
  from: string,
  to: string,
  options: Abortable = {},
): Promise<Result<void, StoreError>> {
  return silent(btrfs(['-q', 'subvolume', 'snapshot', from, to], options));
}

export function setReadOnly(path: string): Promise<Result<void, StoreError>> {
  return silent(btrfs(['property', 'set', '-ts', path, 'ro', 'true'], {}));
}

/** Also if it was marked as received. */
export function setWritable(path: string): Promise<Result<void, StoreError>> {
  return silent(btrfs(['property', 'set', '-f', '-ts', path, 'ro', 'false'], {}));
}

/** Deletes a subvolume with those that a step made inside it. Its space is free only some time later. */
export async function deleteSubvolume(
  path: string,
  options: Abortable = {},
): Promise<Result<void, StoreError>> {
  const deleted = await btrfs(['-q', 'subvolume', 'delete', path], options);
  if (deleted.isOk()) return ok();
  if (deleted.error.type === 'cancelled' || !deleted.error.stderr.includes('Directory not empty')) {
    return err(commandFailure(deleted.error));
  }
  const emptied = await deleteNested(path, options);
  if (emptied.isErr()) return emptied;
  const again = await silent(btrfs(['-q', 'subvolume', 'delete', path], options));
  return again.isOk() ? again : removeAll(path, options);
}

/** Deletes a file, or a directory with every subvolume in it. */
export async function deleteSubvolumesIn(
  path: string,
  options: Abortable = {},
): Promise<Result<void, StoreError>> {
  const emptied = await deleteNested(path, options);
  return emptied.isErr() ? emptied : removeAll(path, options);
}

/**
 * Deletes the subvolumes below a directory, which any user may make, protect and nest. They are told by their inode
 * number 256, so their names may be of any bytes, and `-execdir` keeps paths short. A read-only one is made writable
 * first, also if it was marked as received (`-f`): what is in it could not be deleted else.
 *
 * @returns A failure only after an abort: the exit code of find(1) says nothing about the commands that it ran.
 */
async function deleteNested(path: string, options: Abortable): Promise<Result<void, StoreError>> {
  const setWritable = ['btrfs', 'property', 'set', '-f', '-ts', '{}', 'ro', 'false', ';'];
  const remove = ['btrfs', '-q', 'subvolume', 'delete', '{}', ';'];
  const passes = [
    [path, '-type', 'd', '-inum', '256', '-execdir', ...setWritable],
    [path, '-depth', '-mindepth', '1', '-type', 'd', '-inum', '256', '-execdir', ...remove],
  ];
  for (const pass of passes) {
    const [file, ...prefix] = program('find');
    const done = await runCommand(file, [...prefix, ...pass], { ...options, env: { PATH: SAFE_PATH } });
    if (done.isErr() && done.error.type === 'cancelled') return err(done.error);
  }
  return ok();
}

/** The kernel lets rmdir(2) take an empty subvolume, since 4.18, so that `rm` can do the rest to any depth. */
async function removeAll(path: string, options: Abortable): Promise<Result<void, StoreError>> {
  const [file, ...prefix] = program('rm');
  return silent(runCommand(file, [...prefix, '-rf', '--', path], options));
}

/** Settles once nothing that was deleted before takes space any more. */
export async function waitForDeleted(
  path: string,
  options: Abortable = {},
): Promise<Result<void, StoreError>> {
  // Deleting starts with the next transaction, which the kernel begins only every 30 s if nobody asks.
  const committed = await syncFileSystem(path, options);
  if (committed.isErr()) return committed;
  const cleaned = await silent(btrfs(['subvolume', 'sync', path], options));
  // The extents of what was cleaned are given back when that transaction ends.
  return cleaned.isErr() ? cleaned : syncFileSystem(path, options);
}

/** Writes out what was written so far, and ends the transaction. */
export function syncFileSystem(path: string, options: Abortable = {}): Promise<Result<void, StoreError>> {
  return silent(btrfs(['filesystem', 'sync', path], options));
}

/** @returns The text that `parseUsage` reads. */
export async function fileSystemUsage(path: string): Promise<Result<string, StoreError>> {
  return (await btrfs(['filesystem', 'usage', '-b', path], {})).mapErr(commandFailure);
}

/** In which transactions a subvolume was made and last changed, as far as they have ended. */
export async function generationsOf(
  path: string,
): Promise<Result<{ readonly created: number; readonly current: number }, StoreError>> {
  const text = await btrfs(['subvolume', 'show', path], {});
  return text.isErr() ? err(commandFailure(text.error)) : parseGenerations(text.value);
}

function btrfs(
  args: readonly string[],
  options: Abortable,
): Promise<Result<string, CommandFailed | Cancelled>> {
  const [file, ...prefix] = program('btrfs');
  return runCommand(file, [...prefix, ...args], options);
}

function program(name: string): [string, ...string[]] {
  return process.getuid?.() === 0 ? [name] : ['sudo', '-n', name];
}

async function silent(
  command: Promise<Result<string, CommandFailed | Cancelled>>,
): Promise<Result<void, StoreError>> {
  return (await command).map(() => undefined).mapErr(commandFailure);
}
