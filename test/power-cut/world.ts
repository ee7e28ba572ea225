import { join } from 'node:path';
import {
  type Builder,
  type HostPath,
  ok,
  openBuilder,
  orThrow,
  type Sandbox,
  type Store,
  toHostPath,
} from '@snapstep/core';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { openOverlayfsStore } from '@snapstep/store-overlayfs';
import { openRsyncStore } from '@snapstep/store-rsync';
import { references } from './base-image.ts';
import type { FileSystem } from './disk.ts';

/** A builder with all its parts: what they keep, and where. */
export interface World {
  readonly store: 'btrfs' | 'rsync' | 'overlayfs';
  /** Where the store is. */
  readonly disk: FileSystem;
  /** Where all else is. Default: beside the store. */
  readonly stateDisk?: FileSystem;
  readonly runtime: 'runc' | 'crun';
  /** False: the store only says that it syncs. Default: true. */
  readonly syncs?: boolean;
}

export const WORLDS: readonly World[] = [
  { store: 'btrfs', disk: 'btrfs', runtime: 'crun' },
  { store: 'rsync', disk: 'xfs', runtime: 'crun' },
  { store: 'overlayfs', disk: 'ext4', runtime: 'runc' },
  { store: 'btrfs', disk: 'btrfs', stateDisk: 'ext4', runtime: 'crun' },
  { store: 'rsync', disk: 'xfs', stateDisk: 'ext4', runtime: 'crun' },
  { store: 'overlayfs', disk: 'xfs', runtime: 'crun' },
  { store: 'rsync', disk: 'ext4', runtime: 'runc' },
];

const openStore = { rsync: openRsyncStore, btrfs: openBtrfsStore, overlayfs: openOverlayfsStore };

/** The file systems of a world's disk: the store's first. */
export function partsOf({ disk, stateDisk }: World): readonly FileSystem[] {
  return stateDisk === undefined ? [disk] : [disk, stateDisk];
}

export function nameOf({ store, disk, stateDisk, syncs = true }: World): string {
  const state = stateDisk === undefined ? '' : `, state on ${stateDisk}`;
  return `${store} on ${disk}${state}${syncs ? '' : ', which does not sync'}`;
}

export interface OpenWorld extends AsyncDisposable {
  readonly builder: Builder;
  readonly store: Store;
}

export interface WorldPlace {
  readonly world: World;
  /** Where the parts of its disk are mounted: `0`, and perhaps `1`. */
  readonly at: string;
  /** The directory of the base images, on no disk that is cut. */
  readonly images: string;
}

/** The sandbox comes first: what a dead process left running must end before the store clears up. */
export async function openWorld(place: WorldPlace): Promise<OpenWorld> {
  const { world, at, images } = place;
  await using opened = new AsyncDisposableStack();
  const sandbox = opened.use(await openSandbox(place));
  const path = toHostPath(join(at, '0', 'store'));
  const store = opened.use(orThrow(await openStore[world.store]({ path })));
  if (world.syncs === false) store.sync = async () => ok();
  const fetcher = opened.use(
    orThrow(await openOciFetcher({ stateDir: statePath(place, 'fetcher'), images: references(images) })),
  );
  const parts = { store, sandbox, fetcher, stateDir: statePath(place, 'builder') };
  const builder = opened.use(orThrow(await openBuilder(parts)));
  const all = opened.move();
  return { builder, store, [Symbol.asyncDispose]: () => all.disposeAsync() };
}

/** Ends what a builder that was killed left running. */
export async function sweepSandbox(place: WorldPlace): Promise<void> {
  await (await openSandbox(place))[Symbol.asyncDispose]();
}

async function openSandbox(place: WorldPlace): Promise<Sandbox & AsyncDisposable> {
  const { runtime } = place.world;
  return orThrow(await openRuncSandbox({ stateDir: statePath(place, 'sandbox'), runtime }));
}

function statePath({ world, at }: WorldPlace, name: string): HostPath {
  return toHostPath(join(at, world.stateDisk === undefined ? '0' : '1', name));
}
