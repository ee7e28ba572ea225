import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';

/** What is made once and used by every run: the modules, the images. It stays; remove it to have it made again. */
export const guestCache: string = join(
  process.env.XDG_CACHE_HOME || join(homedir(), '.cache'),
  'snapstep',
  'openzfs',
);

/** Of a directory or file that is only there when it is finished. */
export function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

/**
 * Waits until nobody else makes things in the cache, and takes away what a killed maker left unfinished. The kernel gives
 * the lock back when we end, however we end.
 */
export async function lockCache(signal: AbortSignal): Promise<AsyncDisposable> {
  await mkdir(guestCache, { recursive: true });
  const holder = spawn('flock', [join(guestCache, 'lock'), 'sh', '-c', 'echo locked; exec cat'], {
    stdio: ['pipe', 'pipe', 'inherit'],
    signal,
  });
  const ended = once(holder, 'exit').catch(() => undefined);
  await Promise.race([once(holder.stdout, 'data', { signal }), ended.then(notLocked)]);
  await removeUnfinished();
  return {
    async [Symbol.asyncDispose]() {
      holder.stdin.end();
      await ended;
    },
  };
}

/** A directory in the cache, to be renamed to its name when all is in it. Made under the lock. */
export function unfinishedDir(): Promise<string> {
  return mkdtemp(join(guestCache, UNFINISHED));
}

const UNFINISHED = 'unfinished-';

async function removeUnfinished(): Promise<void> {
  for (const name of await readdir(guestCache)) {
    if (name.startsWith(UNFINISHED)) await rm(join(guestCache, name), { recursive: true });
  }
}

function notLocked(): never {
  throw new Error(`flock cannot lock ${join(guestCache, 'lock')}`);
}
