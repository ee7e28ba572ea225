import { fileURLToPath } from 'node:url';
import type { CrashPlace } from '@snapstep/core/conformance';
import { directoryCrashPlace } from '@snapstep/test-support';
import { type BtrfsStoreOptions, openBtrfsStore } from '../../src/index.ts';

const script = fileURLToPath(new URL('./churn-process.ts', import.meta.url));

/** A place in a directory that goes when `disk` does. */
export function crashPlace(
  disk: { readonly path: string } & AsyncDisposable,
  options: Omit<BtrfsStoreOptions, 'path'>,
): CrashPlace {
  return directoryCrashPlace(disk, {
    script,
    args: [JSON.stringify(options)],
    openAt: (path) => openBtrfsStore({ ...options, path }),
  });
}
