import { lstat, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import type { PoolUser } from './macos-user.ts';

/** Where every user of a Mac may leave files, beside the directories that are his alone. */
export const SHARED_PLACES: readonly string[] = [
  '/private/tmp',
  '/private/var/tmp',
  '/private/var/at/jobs',
  '/private/var/mail',
  '/Users/Shared',
];

/**
 * How deep directories of root in which others may write are searched for files of the user. Those of other users are not: they could put a link
 * in their place meanwhile, and they go with all that is in them when a step of their own ends.
 */
const DEPTH = 4;

/**
 * Removes what a user has left outside of his volumes: all in his own directories, and his files in shared places.
 * None of his processes may be running.
 *
 * @returns What could not be removed.
 */
export async function removeFiles(
  user: Pick<PoolUser, 'uid' | 'ownDirs'>,
  places: readonly string[],
): Promise<readonly string[]> {
  const left: string[] = [];
  for (const directory of user.ownDirs) {
    const stats = await lstat(directory).catch(() => undefined);
    if (stats?.isDirectory() && stats.uid === user.uid) left.push(...(await empty(directory)));
  }
  for (const place of places) left.push(...(await search(place, { uid: user.uid, depth: DEPTH })));
  return left;
}

async function empty(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  const all = await Promise.all(names.map((name) => remove(join(directory, name))));
  return all.flat();
}

async function search(
  directory: string,
  { uid, depth }: { readonly uid: number; readonly depth: number },
): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  const left: string[] = [];
  for (const name of names) {
    const path = join(directory, name);
    const stats = await lstat(path).catch(() => undefined);
    if (stats?.uid === uid) left.push(...(await remove(path)));
    else if (stats?.isDirectory() && stats.uid === 0 && (stats.mode & 0o022) !== 0 && depth > 1)
      left.push(...(await search(path, { uid, depth: depth - 1 })));
  }
  return left;
}

/** Links are removed and not followed. */
async function remove(path: string): Promise<readonly string[]> {
  return rm(path, { recursive: true, force: true }).then(
    () => [],
    (error: Error) => [`${path} (${error.message})`],
  );
}
