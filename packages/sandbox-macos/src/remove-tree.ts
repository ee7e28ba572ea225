import type { Stats } from 'node:fs';
import { chmod, lchown, lstat, readdir, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@snapstep/core/backend';

/**
 * Removes a file, or a directory with all that is in it. Links are removed and not followed, and what is mounted in there
 * is not entered.
 *
 * Other users may be running: a directory is made root's alone before it is read, so that nobody can put a link in the
 * place of what is about to be removed.
 *
 * @param path - Nobody else may be able to move it away, as in a directory with the sticky bit.
 * @param device - The file system that it is on.
 * @returns What could not be removed, and why.
 */
export async function removeTree(path: string, device: number): Promise<readonly string[]> {
  const left = await tryToRemove(path, device);
  if (!left.some((reason) => reason.includes('EPERM'))) return left;
  // A file that its owner has made immutable: root may not remove it either, until it is not (chflags(1)).
  await runCommand('chflags', ['-R', 'nouchg,nouappnd', path]);
  return tryToRemove(path, device);
}

async function tryToRemove(path: string, device: number): Promise<readonly string[]> {
  try {
    const stats = await lstat(path);
    if (!stats.isDirectory()) return await unlink(path).then(() => []);
    if (isMount(stats, device)) return [`${path} (another file system is mounted there)`];
    await lchown(path, 0, 0);
    await chmod(path, 0o700);
    const left: string[] = [];
    // One after the other: what a step leaves may be many files.
    for (const name of await readdir(path)) left.push(...(await tryToRemove(join(path, name), device)));
    if (left.length === 0) await rmdir(path);
    return left;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    return [`${path} (${(error as Error).message})`];
  }
}

/** Only directories are asked: where file systems lie over each other, as in an overlay, a file may have any number. */
export function isMount(stats: Stats, device: number): boolean {
  return stats.isDirectory() && stats.dev !== device;
}
