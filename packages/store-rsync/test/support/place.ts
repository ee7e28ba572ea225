import type { StorePlace } from '@snapstep/core/conformance';
import { storePlace } from '@snapstep/test-support';
import { openRsyncStore, type RsyncStoreOptions } from '../../src/index.ts';

/** A store in a directory that the caller deletes, or the file system of which. */
export function place(directory: string, options: Omit<RsyncStoreOptions, 'path'>): Promise<StorePlace> {
  return storePlace(directory, (path) => openRsyncStore({ ...options, path }));
}
