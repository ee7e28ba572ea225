import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, openSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import createDebug from 'debug';
import type { HostPath } from './names.ts';
import { hasSpareDescriptors } from './spare-descriptors.ts';

const debug: createDebug.Debugger = createDebug('snapstep:lock');

/**
 * Locks a directory with flock(2): a lock that belongs to the open file and not to the process, so that nothing which
 * the process reads or closes elsewhere gives it up. Node has no call for it, but a child that gets the descriptor can
 * make it: the lock is then ours as well, and stays when the child ends.
 *
 * @returns `unavailable` without flock(1), and on file systems that cannot. Else what holds the lock until it is closed.
 */
export async function flockDirectory(directory: HostPath): Promise<AsyncDisposable | 'busy' | 'unavailable'> {
  if (process.platform !== 'linux') return 'unavailable';
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  const outcome = await lock(fd).catch((error: Error) => error.message);
  if (outcome === 'locked') return { [Symbol.asyncDispose]: async () => closeSync(fd) };
  closeSync(fd);
  if (outcome === 'busy') return outcome;
  debug('%s cannot be locked with flock: %s', directory, outcome);
  return 'unavailable';
}

/** @returns `locked`, `busy`, or why neither. */
async function lock(fd: number): Promise<string> {
  if (!hasSpareDescriptors()) return 'too many open files';
  const child = spawn('flock', ['-x', '-n', '3'], { stdio: ['ignore', 'ignore', 'pipe', fd] });
  // Without a stream it could not be started, which it tells by an event.
  const stderr: Readable | undefined = child.stderr ?? undefined;
  const [[code], reason] = await Promise.all([once(child, 'close'), stderr ? text(stderr) : '']);
  if (code === 0) return 'locked';
  // Both util-linux and busybox say nothing when somebody else has the lock, and give a reason for anything else.
  return code === 1 && reason === '' ? 'busy' : `flock ended with ${code}: ${reason}`;
}
