import { spawnSync } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import createDebug from 'debug';
import type { HostPath } from './names.ts';

const debug: createDebug.Debugger = createDebug('snapstep:lock');

/**
 * Locks a directory with flock(2): a lock that belongs to the open file and not to the process, so that nothing which
 * the process reads or closes elsewhere gives it up. Node has no call for it, but a child that gets the descriptor can
 * make it: the lock is then ours as well, and stays when the child ends.
 *
 * @returns `unavailable` without flock(1), and on file systems that cannot.
 */
export function flockDirectory(directory: HostPath): Disposable | 'busy' | 'unavailable' {
  if (process.platform !== 'linux') return 'unavailable';
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  const { status, stderr, error } = spawnSync('flock', ['-x', '-n', '3'], {
    stdio: ['ignore', 'ignore', 'pipe', fd],
    encoding: 'utf8',
  });
  let isOpen = true;
  const close = (): void => {
    if (isOpen) closeSync(fd);
    isOpen = false;
  };
  if (status === 0) return { [Symbol.dispose]: close };
  close();
  // Both util-linux and busybox say nothing when somebody else has the lock, and give a reason for anything else.
  if (status === 1 && stderr === '') return 'busy';
  debug('%s cannot be locked with flock: %o', directory, error ?? stderr);
  return 'unavailable';
}
