import type { Stats } from 'node:fs';
import { chmod, lstat, readdir, unlink } from 'node:fs/promises';
import { dirname, join, posix } from 'node:path';
import type { PoolUser } from './macos-user.ts';
import { isMount, removeTree } from './remove-tree.ts';
import { isBelow } from './step-path.ts';

/** Where every user of a Mac may leave files, beside the directories that are his alone. */
export const SHARED_PLACES: readonly string[] = [
  '/private/tmp',
  '/private/var/tmp',
  '/private/var/at/jobs',
  '/private/var/mail',
  '/Users/Shared',
];

/**
 * How deep directories of root in which others may write are searched for files of the user. Those of other users are
 * not: they could put a link in their place meanwhile, and they go with all that is in them when a step of their own ends.
 */
const DEPTH = 4;

/** Where users may leave files, and what is not to be touched although it lies in there. */
export interface Premises {
  readonly sharedPlaces: readonly string[];
  /** Without links in them: our own state, and what the store keeps. */
  readonly kept: ReadonlySet<string>;
}

/**
 * Removes what a user has left outside of his volumes: all in his own directories, and his files in shared places.
 * None of his processes may be running. What is mounted in a shared place, or kept there, is not entered.
 *
 * @returns What could not be removed.
 */
export async function removeFiles(
  user: Pick<PoolUser, 'uid' | 'ownDirs'>,
  { sharedPlaces, kept }: Premises,
): Promise<readonly string[]> {
  const own = user.ownDirs.map((directory) => posix.normalize(directory).replace(/\/$/, ''));
  const left: string[] = [];
  for (const parent of new Set(own.map((directory) => dirname(directory)))) {
    left.push(...(await emptyOwn(parent, { uid: user.uid, mode: 0o755, except: own })));
  }
  for (const directory of own) {
    left.push(...(await emptyOwn(directory, { uid: user.uid, mode: 0o700, except: [] })));
  }
  for (const place of sharedPlaces) {
    const device = (await lstat(place).catch(() => undefined))?.dev;
    if (device === undefined) continue;
    left.push(...(await search(place, { uid: user.uid, device, depth: DEPTH, kept: [...kept] })));
  }
  return left;
}

/** Empties a directory that is the user's for good, and gives it the mode that it has on a fresh Mac. */
async function emptyOwn(
  directory: string,
  { uid, mode, except }: { readonly uid: number; readonly mode: number; readonly except: readonly string[] },
): Promise<readonly string[]> {
  const stats = await lstat(directory).catch(() => undefined);
  if (!stats?.isDirectory() || stats.uid !== uid) return [];
  await chmod(directory, mode);
  const paths = (await readdir(directory)).map((name) => join(directory, name));
  const left: string[] = [];
  for (const path of paths) if (!except.includes(path)) left.push(...(await removeTree(path, stats.dev)));
  return left;
}

interface Search {
  readonly uid: number;
  readonly device: number;
  readonly depth: number;
  readonly kept: readonly string[];
}

async function search(directory: string, wanted: Search): Promise<readonly string[]> {
  const { uid, device, depth, kept } = wanted;
  const own = await lstat(directory).catch(() => undefined);
  const names = await readdir(directory).catch(() => []);
  const isFirm = own !== undefined && isFirmIn(own);
  const left: string[] = [];
  for (const name of names) {
    const path = join(directory, name);
    if (kept.some((other) => other === path || isBelow(other, path))) continue;
    const stats = await lstat(path).catch(() => undefined);
    if (stats === undefined || isMount(stats, device)) continue;
    if (stats.uid === uid) {
      left.push(...(isFirm ? await removeTree(path, device) : await removeFile(path, stats)));
    } else if (isFirm && stats.isDirectory() && stats.uid === 0 && (stats.mode & 0o022) !== 0 && depth > 1) {
      left.push(...(await search(path, { ...wanted, depth: depth - 1 })));
    }
  }
  return left;
}

/** Removes what is no directory. */
async function removeFile(path: string, stats: Stats): Promise<readonly string[]> {
  if (stats.isDirectory()) return [`${path} (others may put a link in its place)`];
  return unlink(path).then(
    () => [],
    (error: Error) => [`${path} (${error.message})`],
  );
}

/** Whether what is in a directory can be moved away, and be replaced, by nobody but its owner and root. */
function isFirmIn({ mode }: Stats): boolean {
  return (mode & 0o022) === 0 || (mode & 0o1000) !== 0;
}
