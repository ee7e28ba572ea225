import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import type { StorePlace } from '@snapstep/core/conformance';
import { expectOk } from '@snapstep/test-support';
import { openRsyncStore, type RsyncStoreOptions } from '../../src/index.ts';

/** A store in a directory of `within`, which goes with it. */
export async function place(
  within: { readonly path: string } & AsyncDisposable,
  options: Omit<RsyncStoreOptions, 'path'>,
): Promise<StorePlace> {
  const open = () => openRsyncStore({ ...options, path: toHostPath(join(within.path, 'store')) });
  return {
    store: expectOk(await open()),
    reopen: async () => expectOk(await open()),
    openSecond: open,
    [Symbol.asyncDispose]: () => within[Symbol.asyncDispose](),
  };
}
