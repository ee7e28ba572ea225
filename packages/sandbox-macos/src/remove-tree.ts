import { randomUUID } from 'node:crypto';
import type { Stats } from 'node:fs';
import { chmod, lchown, lstat, readdir, rename, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@snapstep/core/backend';

/** A path may have 1,024 bytes on a Mac (PATH_MAX), and its last name 255. */
const LONGEST = 1024 - 255 - 1;

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
  const left = await tryToRemove(path, { device, top: path });
  if (!left.some((reason) => reason.includes('EPERM'))) return left;
  // A file that its owner has made immutable: root may not remove it either, until it is not (chflags(1)).
  await runCommand('chflags', ['-R', 'nouchg,nouappnd', path]);
  return tryToRemove(path, { device, top: path });
}

async function tryToRemove(
  path: string,
  { device, top }: { readonly device: number; readonly top: string },
): Promise<readonly string[]> {
  try {
    const stats = await lstat(path);
    if (!stats.isDirectory()) return await unlink(path).then(() => []);
    if (isMount(stats, device)) return [`${path} (another file system is mounted there)`];
    await lchown(path, 0, 0);
    await chmod(path, 0o700);
    const left: string[] = [];
    // One after the other: what a step leaves may be many files.
    for (const name of await readdir(path)) {
      const child = await shortened(join(path, name), top);
      left.push(...(await tryToRemove(child, { device, top })));
    }
    if (left.length === 0) await rmdir(path);
    return left;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return [];
    return [`${path} (${(error as Error).message})`];
  }
}

/** A tree may be deeper than any path is long: what is down there is moved up first. */
async function shortened(path: string, top: string): Promise<string> {
  if (Buffer.byteLength(path) <= LONGEST) return path;
  const place = join(top, randomUUID());
  await rename(path, place);
  return place;
}

/** Only directories are asked: where file systems lie over each other, as in an overlay, a file may have any number. */
export function isMount(stats: Stats, device: number): boolean {
  return stats.isDirectory() && stats.dev !== device;
}
