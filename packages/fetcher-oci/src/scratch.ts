import { createHash, randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { basename, join } from 'node:path';
import {
  bootId,
  err,
  type Failed,
  failed,
  lockDirectory,
  ok,
  type Result,
  toHostPath,
} from '@snapstep/core/backend';

/** A place for what is needed only during a pull. A lock on it tells others that its process is alive. */
export interface Scratch extends AsyncDisposable {
  /** A fresh directory, gone with all that is in it when it is disposed. Rejects with what the system says. */
  directory(): Promise<Result<Area, Failed>>;
}

interface Area extends AsyncDisposable {
  readonly path: string;
}

/**
 * Removes the scratch places below `parent` of processes that are no more. One for this process is made when it is
 * needed: a full disk keeps nobody from opening a fetcher.
 */
export async function openScratch(parent: string): Promise<Scratch> {
  await mkdir(parent, { recursive: true, mode: 0o700 });
  for (const name of await readdir(parent)) await removeIfStale(join(parent, name));
  let opening: Promise<Result<Area, Failed>> | undefined;
  return {
    async directory() {
      opening ??= takeArea(parent).catch((error: unknown) => {
        opening = undefined;
        throw error;
      });
      const area = await opening;
      if (area.isOk()) return ok(await scratchDirectory(area.value.path));
      opening = undefined;
      return area;
    },
    async [Symbol.asyncDispose]() {
      const area = await opening?.catch(() => undefined);
      await area?.unwrapOr(undefined)?.[Symbol.asyncDispose]();
    },
  };
}

async function takeArea(parent: string): Promise<Result<Area, Failed>> {
  let reason = '';
  // Another process that opens at this moment may take ours for a stale one, before it is locked.
  for (let attempt = 0; attempt < 3; attempt += 1) {
    const path = join(parent, `${thisBoot()}-${randomBytes(8).toString('hex')}`);
    await mkdir(path, { mode: 0o700 });
    const lock = await lockDirectory(toHostPath(path));
    if (lock.isErr()) {
      reason = lock.error.message;
      continue;
    }
    return ok({
      path,
      async [Symbol.asyncDispose]() {
        await lock.value[Symbol.asyncDispose]();
        await remove(path);
      },
    });
  }
  return err(failed(`cannot make a directory for temporary files below ${parent}: ${reason}`));
}

/** After another boot nobody has it, and its lock file may be garbled. */
async function removeIfStale(area: string): Promise<void> {
  const [, boot] = /^([0-9a-f]{16})-[0-9a-f]{16}$/.exec(basename(area)) ?? [];
  if (boot !== undefined && boot !== thisBoot()) return remove(area);
  const lock = await lockDirectory(toHostPath(area));
  if (lock.isErr()) return;
  await lock.value[Symbol.asyncDispose]();
  await remove(area);
}

function thisBoot(): string {
  return createHash('sha256').update(bootId()).digest('hex').slice(0, 16);
}

async function scratchDirectory(area: string): Promise<Area> {
  const path = await mkdtemp(join(area, 'pull-'));
  return { path, [Symbol.asyncDispose]: () => remove(path) };
}

/** What cannot be removed now is removed by the next process that opens. */
async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true }).catch(() => undefined);
}
