import { statSync } from 'node:fs';
import { join } from 'node:path';
import type { Scene } from './scene.ts';

/**
 * The process that owns a directory now, by looking only: trying the lock would keep somebody else from taking it.
 *
 * The pid in the file may be of a process long dead, and taken by another since; so the kernel is asked who holds a
 * lock on, or has open, the lock file.
 */
export async function ownerOf(directory: string, scene: Scene): Promise<number | undefined> {
  const pid = Number((await scene.read(join(directory, 'owner.pid'))) ?? Number.NaN);
  const lock = join(directory, 'owner.lock');
  const inode = statSync(lock, { throwIfNoEntry: false })?.ino;
  if (!Number.isSafeInteger(pid) || inode === undefined) return undefined;
  const holders = scene.platform === 'linux' ? await lockHolders(scene, inode) : await openers(scene, lock);
  return holders.includes(pid) ? pid : undefined;
}

/** Lines such as `3: POSIX  ADVISORY  WRITE 1234 08:01:5678 0 EOF` (proc_locks(5)). */
async function lockHolders(scene: Scene, inode: number): Promise<number[]> {
  const lines = ((await scene.read('/proc/locks')) ?? '').split('\n').map((line) => line.trim().split(/\s+/));
  return lines.filter((fields) => fields[5]?.split(':')[2] === `${inode}`).map((fields) => Number(fields[4]));
}

async function openers(scene: Scene, file: string): Promise<number[]> {
  const answer = await scene.ask('lsof', ['-t', '--', file]);
  return (answer?.stdout ?? '').split('\n').filter(Boolean).map(Number);
}
