import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { orThrow, type StepKey, type Store, type StoreFeature, type StoreWith } from '@snapstep/core/backend';
import { type StorePlace, storePromises, storeSuite } from '@snapstep/core/conformance';
import { type MemoryDisk, type MemoryDiskOptions, memoryDisk, openMemoryStore } from '@snapstep/core/testing';
import { said } from '../by-promise.ts';
import type { Mutant } from '../mutant.ts';

type FullStore = StoreWith<StoreFeature>;

/** What a mutant knows of the place that its store is in, and keeps while the store is opened again. */
export interface World {
  readonly disk: MemoryDisk;
  /** A directory for what the mutant wants to keep; the suite does not look there. */
  readonly aside: string;
  /** Copies of snapshots that a mutant keeps. */
  readonly copies: Map<StepKey, string>;
  /** How often the place was opened, this time included. */
  opened: number;
}

export interface StoreMutant extends Pick<Mutant, 'name' | 'needs'> {
  /** The promise that it breaks. */
  readonly breaks: keyof typeof storePromises;
  /** Others that may be seen to be broken first. */
  readonly also?: readonly (keyof typeof storePromises)[];
  /** A part of the title of the test that should see it. */
  readonly seenBy: string;
  /** Default: 0.3. */
  readonly scale?: number;
  /** Of the random sequences: one that soon finds what is wrong. */
  readonly seed?: number;
  /** Changes a memory store that was just opened. */
  readonly mutate?: (store: FullStore, world: World) => unknown;
  /** Called before the place is opened a second time. */
  readonly beforeSecond?: (world: World) => void;
}

const features: readonly StoreFeature[] = ['placement', 'baseImages', 'quota', 'transfer'];

/** What the memory store itself does not promise. A mutant that breaks one of these is the memory store as it is. */
const except = [
  'refuses to write into a saved volume',
  'lets an active snapshot hold no more than its quota, with `ENOSPC` or `EDQUOT`',
];

/** A memory store that breaks one promise. */
export function storeMutant(options: StoreMutant): Mutant {
  const { name, breaks, also = [], seenBy, needs, scale = 0.3, seed = 1 } = options;
  const open = () => openPlace(options);
  return {
    ...said(storePromises, { name, breaks, also, first: [seenBy] }),
    ...(needs && { needs }),
    suite: (functions) =>
      storeSuite(functions, {
        open,
        openSmall: () => openPlace(options, { capacityBytes: 40 * 1024 * 1024 }),
        features,
        except: except.filter((title) => !title.includes(seenBy)),
        scale,
        seed,
      }),
  };
}

async function openPlace(
  { mutate, beforeSecond }: StoreMutant,
  options: MemoryDiskOptions = {},
): Promise<StorePlace> {
  const disk = await memoryDisk(options);
  const world: World = { disk, aside: join(disk.path, 'aside'), copies: new Map(), opened: 0 };
  let current: { readonly mounted: number } | undefined;
  const open = async (): Promise<Store> => {
    const store = orThrow(await openMemoryStore(disk));
    current = store;
    world.opened += 1;
    mutate?.(store, world);
    return store;
  };
  return {
    store: await open(),
    reopen: open,
    openSecond: async () => {
      beforeSecond?.(world);
      return openMemoryStore(disk);
    },
    // Its mounts are numbers, which mean nothing once the store is disposed.
    mounts: async () => (disk.isOpen ? (current?.mounted ?? 0) : 0),
    leftovers: () => unfinished(join(disk.path, 'active')),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

/** What is unfinished lies in a directory for each opening. */
export async function unfinished(directory: string): Promise<readonly string[]> {
  const openings = await readdir(directory);
  const found = await Promise.all(
    openings.map((opening) => readdir(join(directory, opening)).catch(() => [])),
  );
  return found.flat();
}
