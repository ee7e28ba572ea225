import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, Result } from 'neverthrow';
import { type BytePath, toBytePath, toFsPath, toReadable } from './byte-path.ts';
import { type Failed, failed } from './failures.ts';

/** Where a path of a file tree leads, with every link on the way followed as if the tree were `/`. */
export interface Inside {
  /** The host path of it: no component of `existing` is a link. */
  readonly existing: string;
  /** The components that do not exist yet, in order; empty if the path exists. */
  readonly missing: readonly string[];
}

interface InsideBytes extends Inside {
  /** Whether `..` took away a name that does not exist: the answer holds only as long as nobody makes it. */
  readonly detour: boolean;
}

interface Options {
  readonly followLast: boolean;
}

/** What every file system that we know takes. */
const LONGEST_NAME = 255;

/**
 * Resolves `path` below `root` the way the kernel would after a chroot: absolute links start again at
 * `root`, and `..` never leaves it. The answer holds as long as nobody else changes the tree.
 *
 * @param path - A path of the tree, with or without a leading slash.
 * @returns A failure if a component that should be a directory is something else, after 40 links, or where a link
 * leads to a name that is not UTF-8.
 */
export async function resolveInside(
  root: string,
  path: string,
  options: Options,
): Promise<Result<Inside, Failed>> {
  const found = await resolveBytes(toBytePath(root), toBytePath(path), options);
  return found.andThen(({ existing, missing }) =>
    Result.combine([existing, ...missing].map((part) => toText(part, path))).map(
      ([first = '', ...others]) => ({ existing: first, missing: others }),
    ),
  );
}

/** As {@link resolveInside}, where a name may have any bytes: all paths, also those in the answer, are byte paths. */
export async function resolveBytes(
  root: BytePath,
  path: BytePath,
  options: Options,
): Promise<Result<InsideBytes, Failed>> {
  const shown = toReadable(path);
  const todo = components(path);
  const done: BytePath[] = [];
  const missing: BytePath[] = [];
  let detour = false;
  for (let links = 0; todo.length > 0; ) {
    const name = todo.shift() as BytePath;
    if (name.length > LONGEST_NAME)
      return err(failed(`${shown}: the name "${toReadable(name.slice(0, 20))}..." is too long`));
    if (name === '..' || missing.length > 0) {
      // Below a directory that does not exist there are no links, so `..` may be taken off as text.
      if (name !== '..') missing.push(name);
      else if (missing.pop() === undefined) done.pop();
      else detour = true;
      continue;
    }
    const here = toFsPath(join(root, ...done, name));
    const stat = await lstat(here).catch(ignoreMissing);
    if (stat === undefined) {
      missing.push(name);
      continue;
    }
    if (stat.isSymbolicLink() && (todo.length > 0 || options.followLast)) {
      links += 1;
      if (links > 40) return err(failed(`${shown}: too many symbolic links`));
      const target = await readlink(here, 'latin1');
      if (target.startsWith('/')) done.length = 0;
      todo.unshift(...components(target));
      continue;
    }
    if (todo.length > 0 && !stat.isDirectory()) {
      return err(failed(`${shown}: /${toReadable([...done, name].join('/'))} is not a directory`));
    }
    done.push(name);
  }
  return ok({ existing: join(root, ...done), missing, detour });
}

function components(path: BytePath): BytePath[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}

function toText(part: BytePath, path: string): Result<string, Failed> {
  const text = toReadable(part);
  return toBytePath(text) === part ? ok(text) : err(failed(`${path} leads to "${text}", which is not UTF-8`));
}
