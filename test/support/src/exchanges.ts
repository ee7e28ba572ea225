import { once } from 'node:events';
import { mkdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';

/** Each is in its place for up to a fifth of a millisecond: long enough to be met, and short enough to be missed later. */
const EXCHANGE = `
const { renameSync } = require('node:fs');
const { directory, away, link, state } = require('node:worker_threads').workerData;
const pause = () => Atomics.wait(state, 0, 0, Math.random() / 5);
while (Atomics.load(state, 0) === 0) {
  renameSync(directory, away);
  renameSync(link, directory);
  pause();
  renameSync(directory, link);
  renameSync(away, directory);
  pause();
}`;

/**
 * Another thread exchanges a directory for a link and back, as fast as it can. At the end the directory is in its place.
 *
 * @param aside - A directory to be made, on the same disk: neither read nor linked to.
 */
export async function exchangeForLink(
  directory: string,
  { target, aside }: { readonly target: string; readonly aside: string },
): Promise<AsyncDisposable> {
  await mkdir(aside);
  const link = join(aside, 'link');
  await symlink(target, link);
  const state = new Int32Array(new SharedArrayBuffer(4));
  const workerData = { directory, link, away: join(aside, 'away'), state };
  const worker = new Worker(EXCHANGE, { eval: true, workerData });
  const ended = once(worker, 'exit');
  await once(worker, 'online');
  return {
    async [Symbol.asyncDispose]() {
      Atomics.store(state, 0, 1);
      Atomics.notify(state, 0);
      await ended;
    },
  };
}
