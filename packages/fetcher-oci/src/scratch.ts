import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { err, type Failed, failed, lockDirectory, ok, type Result, toHostPath } from '@snapstep/core/backend';

/** A place for what is needed only during a pull. A lock on it tells others that its process is alive. */
export interface Scratch extends AsyncDisposable {
  /** A fresh directory, gone with all that is in it when it is disposed. */
  directory(): Promise<AsyncDisposable & { readonly path: string }>;
}

/** Opens a scratch place below `parent`, and removes those of processes that are no more. */
export async function openScratch(parent: string): Promise<Result<Scratch, Failed>> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  for (const name of await readdir(parent)) await removeIfStale(join(parent, name));
  // Another process that opens at this moment may take ours for a stale one, before it is locked.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const area = join(parent, randomBytes(8).toString('hex'));
    await mkdir(area, { mode: 0o700 });
    const lock = lockDirectory(toHostPath(area));
    if (lock.isErr()) continue;
    return ok({
      directory: () => scratchDirectory(area),
      async [Symbol.asyncDispose]() {
        await lock.value[Symbol.asyncDispose]();
        await remove(area);
      },
    });
  }
  return err(failed(`cannot make a directory for temporary files below ${parent}`));
}

async function removeIfStale(area: string): Promise<void> {
  const lock = lockDirectory(toHostPath(area));
  if (lock.isErr()) return;
  await lock.value[Symbol.asyncDispose]();
  await remove(area);
}

async function scratchDirectory(area: string): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(area, 'pull-'));
  return { path, [Symbol.asyncDispose]: () => remove(path) };
}

/** What cannot be removed now is removed by the next process that opens. */
async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined);
}
