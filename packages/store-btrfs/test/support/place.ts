import type { StorePlace } from '@snapstep/core/conformance';
import { storePlace } from '@snapstep/test-support';
import { type BtrfsStoreOptions, openBtrfsStore } from '../../src/index.ts';

/** A store in a directory that the caller deletes, or the file system of which. */
export function place(directory: string, options: Omit<BtrfsStoreOptions, 'path'>): Promise<StorePlace> {
  return storePlace(directory, (path) => openBtrfsStore({ ...options, path }));
}
