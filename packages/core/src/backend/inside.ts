import { lstat, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { type Failed, failed } from './failures.ts';

/** Where a path of a file tree leads, with every link on the way followed as if the tree were `/`. */
export interface Inside {
  /** The host path of it: no component of `existing` is a link. */
  readonly existing: string;
  /** The components that do not exist yet, in order; empty if the path exists. */
  readonly missing: readonly string[];
}

/**
 * Resolves `path` below `root` the way the kernel would after a chroot: absolute links start again at
 * `root`, and `..` never leaves it. The answer holds as long as nobody else changes the tree.
 *
 * @param path - A path of the tree, with or without a leading slash.
 * @returns A failure if a component that should be a directory is something else, or after 40 links.
 */
export async function resolveInside(
  root: string,
  path: string,
  options: { readonly followLast: boolean },
): Promise<Result<Inside, Failed>> {
  const todo = components(path);
  const done: string[] = [];
  const missing: string[] = [];
  for (let links = 0; todo.length > 0; ) {
    const name = todo.shift() as string;
    if (name === '..' || missing.length > 0) {
      // Below a directory that does not exist there are no links, so `..` may be taken off as text.
      if (name !== '..') missing.push(name);
      else if (missing.length > 0) missing.pop();
      else done.pop();
      continue;
    }
    const here = join(root, ...done, name);
    if (name.length > 255) return err(failed(`${path}: the name "${name.slice(0, 20)}..." is too long`));
    const stat = await lstat(here).catch(ignoreMissing);
    if (stat === undefined) {
      missing.push(name);
      continue;
    }
    if (stat.isSymbolicLink() && (todo.length > 0 || options.followLast)) {
      links += 1;
      if (links > 40) return err(failed(`${path}: too many symbolic links`));
      const target = await readlink(here);
      if (target.startsWith('/')) done.length = 0;
      todo.unshift(...components(target));
      continue;
    }
    if (todo.length > 0 && !stat.isDirectory()) {
      return err(failed(`${path}: /${[...done, name].join('/')} is not a directory`));
    }
    done.push(name);
  }
  return ok({ existing: join(root, ...done), missing });
}

function components(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
