import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type HostPath,
  isStepKey,
  type Result,
  type Store,
  type StoreError,
  toHostPath,
} from '@snapstep/core/backend';
import type { CrashPlace, StorePlace } from '@snapstep/core/conformance';
import { expectOk } from './expect-result.ts';
import type { TempDir } from './temp-dir.ts';

type Open = (path: HostPath) => Promise<Result<Store, StoreError>>;

/** A store in a directory that the caller deletes, or the file system of which. */
export async function storePlace(directory: string, openAt: Open): Promise<StorePlace> {
  const open = () => openAt(toHostPath(join(directory, 'store')));
  return {
    store: expectOk(await open()),
    reopen: async () => expectOk(await open()),
    openSecond: open,
    async [Symbol.asyncDispose]() {},
  };
}

/** A store on a disk that goes with it. */
export async function placeOn(
  disk: TempDir,
  place: (directory: string) => Promise<StorePlace>,
): Promise<StorePlace> {
  const inner = await place(disk.path).catch(async (error: unknown) => {
    await disk[Symbol.asyncDispose]();
    throw error;
  });
  return {
    ...inner,
    async [Symbol.asyncDispose]() {
      await inner[Symbol.asyncDispose]();
      await disk[Symbol.asyncDispose]();
    },
  };
}

/**
 * Where a store of directories is killed, in a directory that goes when `disk` does.
 *
 * @param script - A program that opens the store at its first argument and gives it to `churn`.
 */
export function directoryCrashPlace(
  disk: TempDir,
  {
    script,
    args,
    openAt,
  }: { readonly script: string; readonly args: readonly string[]; readonly openAt: Open },
): CrashPlace {
  const path = toHostPath(join(disk.path, 'store'));
  return {
    command: [process.execPath, script, path, ...args],
    open: async () => expectOk(await openAt(path)),
    leftovers: () => leftovers(path),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

/** Only the directory of the opening itself may be among what is temporary, and it is empty. */
async function leftovers(path: string): Promise<readonly string[]> {
  const results = await readdir(join(path, 'result'));
  const temporary = await readdir(join(path, 'temporary'), { recursive: true });
  return [...results.filter((name) => !isStepKey(name)), ...temporary.slice(1)];
}
