import { orThrow } from '@snapstep/core/backend';
import type { StorePlace } from '@snapstep/core/conformance';
import { memoryDisk, openMemoryStore } from '@snapstep/core/testing';

/** A memory store on a disk of its own. */
export async function openMemoryPlace(): Promise<StorePlace> {
  const disk = await memoryDisk();
  return {
    store: orThrow(await openMemoryStore(disk)),
    reopen: async () => orThrow(await openMemoryStore(disk)),
    openSecond: () => openMemoryStore(disk),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}
