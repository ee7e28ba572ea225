import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isStepKey, toHostPath } from '@snapstep/core/backend';
import type { CrashPlace } from '@snapstep/core/conformance';
import { expectOk } from '@snapstep/test-support';
import { openRsyncStore, type RsyncStoreOptions } from '../../src/index.ts';

const script = fileURLToPath(new URL('./churn-process.ts', import.meta.url));

/** A place in a directory that goes when `disk` does. */
export function crashPlace(
  disk: { readonly path: string } & AsyncDisposable,
  options: Omit<RsyncStoreOptions, 'path'>,
): CrashPlace {
  const path = toHostPath(join(disk.path, 'store'));
  return {
    command: [process.execPath, script, path, JSON.stringify(options)],
    open: async () => expectOk(await openRsyncStore({ ...options, path })),
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
