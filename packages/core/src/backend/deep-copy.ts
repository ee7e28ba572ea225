import { constants } from 'node:fs';
import { type FileHandle, open } from 'node:fs/promises';
import { err, ok, type Result } from 'neverthrow';
import { type BytePath, toFsPath } from './byte-path.ts';
import { type CommandFailed, runCommand } from './command.ts';
import type { Cancelled, StoreError } from './failures.ts';
import { attempt, commandFailure } from './store-failure.ts';

/** A path that a system call of Linux takes has so many bytes at most, without the NUL at its end. */
const LONGEST = 4095;
const LONGEST_NAME = 255;

export interface DeepCopyOptions {
  /** Copies a directory into one that is missing or empty, and goes on where a path is too long. */
  readonly cp: (from: string, to: string) => Promise<Result<unknown, CommandFailed | Cancelled>>;
  readonly signal?: AbortSignal;
}

/**
 * Copies a directory of any depth by a program that names files by whole paths. A directory that is open has a short
 * path of its own in `/proc`: what the program could not reach is copied from there, and what is too deep below that
 * likewise.
 */
export async function copyDeep(
  from: string,
  to: string,
  options: DeepCopyOptions,
): Promise<Result<void, StoreError>> {
  const copied = await options.cp(from, to);
  if (copied.isOk()) return ok();
  if (!isTooDeep(copied.error)) return err(commandFailure(copied.error));
  const most = LONGEST - 1 - Math.max(Buffer.byteLength(from), Buffer.byteLength(to));
  // The first on each way down from which a name of the greatest length is not reached. They were copied themselves.
  const edge = await pathsBelow(from, {
    bytes: most - LONGEST_NAME,
    tests: ['-type', 'd', '-prune', '-printf', '%P\\0'],
    ...options,
  });
  if (edge.isErr()) return err(edge.error);
  for (const path of edge.value) {
    const done = await copyAnew({ from, to, path, reach: most - path.length }, options);
    if (done.isErr()) return done;
  }
  return ok();
}

/** Whether cp copied everything but what lies in paths that are too long. */
function isTooDeep(error: CommandFailed | Cancelled): boolean {
  if (error.type === 'cancelled' || error.exitCode !== 1) return false;
  const lines = error.stderr.trim().split('\n');
  return lines.every((line) => line.endsWith(': File name too long') && line.length > LONGEST - LONGEST_NAME);
}

interface Edge {
  readonly from: string;
  readonly to: string;
  /** Of the directory, below both. */
  readonly path: BytePath;
  /** Paths below it that are so long were not copied. */
  readonly reach: number;
}

/** Replaces the content of a directory, if there is something in it that was not copied. */
async function copyAnew(
  { from, to, path, reach }: Edge,
  options: DeepCopyOptions,
): Promise<Result<void, StoreError>> {
  const source = await openDirectory(from, path);
  if (source.isErr()) return err(source.error);
  await using there = source.value;
  const tests = ['-printf', '%P\\0', '-quit'];
  const deep = await pathsBelow(pathOf(there), { bytes: Math.max(1, reach), tests, ...options });
  if (deep.isErr()) return err(deep.error);
  if (deep.value.length === 0) return ok();
  const target = await openDirectory(to, path);
  if (target.isErr()) return err(target.error);
  await using here = target.value;
  const { signal } = options;
  const emptied = await runCommand(
    'find',
    [pathOf(here), '-mindepth', '1', '-delete'],
    signal ? { signal } : {},
  );
  if (emptied.isErr()) return err(commandFailure(emptied.error));
  // What is made in a directory with setgid inherits it, and cp takes away no such bit.
  const reset = await attempt(here.chmod(0o700));
  if (reset.isErr()) return reset;
  return await copyDeep(pathOf(there), pathOf(here), options);
}

/** Those of at least so many bytes. To `-path`, a slash is a byte like any other. */
async function pathsBelow(
  start: string,
  {
    bytes,
    tests,
    signal,
  }: { readonly bytes: number; readonly tests: readonly string[]; readonly signal?: AbortSignal },
): Promise<Result<readonly BytePath[], StoreError>> {
  const pattern = `${'?'.repeat(Buffer.byteLength(start) + 1 + bytes)}*`;
  const find = [start, '-mindepth', '1', '-path', pattern, ...tests];
  const found = await runCommand('find', find, { encoding: 'latin1', ...(signal && { signal }) });
  return found.map((text) => text.split('\0').slice(0, -1)).mapErr(commandFailure);
}

async function openDirectory(parent: string, path: BytePath): Promise<Result<FileHandle, StoreError>> {
  const whole = Buffer.concat([Buffer.from(`${parent}/`), toFsPath(path)]);
  return attempt(open(whole, constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW));
}

/** Leads to a directory as long as it is open, also for other programs of this user. */
function pathOf({ fd }: FileHandle): string {
  return `/proc/${process.pid}/fd/${fd}/.`;
}
