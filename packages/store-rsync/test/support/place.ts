import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import type { StorePlace } from '@snapstep/core/conformance';
import { expectOk } from '@snapstep/test-support';
import { openRsyncStore, type RsyncStoreOptions } from '../../src/index.ts';

/** A store in a directory that the caller deletes, or the file system of which. */
export async function place(
  directory: string,
  options: Omit<RsyncStoreOptions, 'path'>,
): Promise<StorePlace> {
  const open = () => openRsyncStore({ ...options, path: toHostPath(join(directory, 'store')) });
  return {
    store: expectOk(await open()),
    reopen: async () => expectOk(await open()),
    openSecond: open,
    async [Symbol.asyncDispose]() {},
  };
}
