import { orThrow } from '@snapstep/core/backend';
import type { StorePlace, StoreSuiteOptions } from '@snapstep/core/conformance';
import { type MemoryDiskOptions, memoryDisk, openMemoryStore } from '@snapstep/core/testing';

/** A memory store on a disk of its own. */
async function openMemoryPlace(options: MemoryDiskOptions = {}): Promise<StorePlace> {
  const disk = await memoryDisk(options);
  return {
    store: orThrow(await openMemoryStore(disk)),
    reopen: async () => orThrow(await openMemoryStore(disk)),
    openSecond: () => openMemoryStore(disk),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

/** It mounts nothing, and needs no privileges. */
export const memorySuite = {
  open: () => openMemoryPlace(),
  openSmall: () => openMemoryPlace({ capacityBytes: 40 * 1024 * 1024 }),
  features: ['placement', 'baseImages', 'quota', 'transfer'],
  except: [
    // Its volumes are directories.
    'refuses to write into a saved volume',
    // It looks at the quota when a snapshot is saved.
    'lets an active snapshot hold no more than its quota, with `ENOSPC` or `EDQUOT`',
  ],
} as const satisfies StoreSuiteOptions;
