import { realpath } from 'node:fs/promises';
import {
  attempt,
  type CacheId,
  err,
  escapeName,
  type HostPath,
  isStepKey,
  type OwnerLock,
  ok,
  openStoreDirectory,
  type Result,
  type StepKey,
  type Store,
  type StoreError,
  toCacheId,
  toHostPath,
  unescapeName,
} from '@snapstep/core/backend';
import { Layers } from './layers.ts';
import { Layout } from './layout.ts';
import { OverlayfsStore } from './overlayfs-store.ts';
import { probeOverlay } from './probe.ts';
import { Records } from './records.ts';

export interface OverlayfsStoreOptions {
  /** A directory of the store's own, on one file system that is not an overlay itself. */
  readonly path: HostPath;
  /**
   * Whether a directory that is missing or empty becomes a new store. Default: true. Set it to false where
   * the store is known to exist: an empty directory is then the sign of a disk that is not mounted.
   */
  readonly create?: boolean;
  /**
   * How many layers a snapshot has at most: 1 to 400. A step on a snapshot that has so many starts with copying it
   * into one layer. Default: 200.
   */
  readonly maxLayers?: number;
}

/**
 * Opens a store that keeps what each step changed as a layer, and mounts the layers as one overlay while somebody
 * leases them. Needs Linux, root and a disk on which an overlay can lie.
 *
 * As with every overlay, a file with several names that a step writes to keeps what it had under its other names,
 * and a character device 0:0 cannot be made.
 *
 * @returns `busy` if another process has it open; `failed` if the directory is not a store and not empty, or cannot
 * hold the layers of an overlay.
 * @throws RangeError if `maxLayers` is not from 1 to 400.
 */
export async function openOverlayfsStore(options: OverlayfsStoreOptions): Promise<Result<Store, StoreError>> {
  const { path, create = true, maxLayers = 200 } = options;
  if (!(Number.isInteger(maxLayers) && maxLayers >= 1 && maxLayers <= 400))
    throw new RangeError(`maxLayers is ${maxLayers}, not 1 to 400`);
  const lock = await openStoreDirectory({ path, kind: 'overlayfs', create });
  if (lock.isErr()) return err(lock.error);
  const store = await start({ lock: lock.value, maxLayers });
  if (store.isErr()) await lock.value[Symbol.asyncDispose]();
  return store;
}

async function start({
  lock,
  maxLayers,
}: {
  readonly lock: OwnerLock;
  readonly maxLayers: number;
}): Promise<Result<Store, StoreError>> {
  const path = await attempt(realpath(lock.directory));
  if (path.isErr()) return err(path.error);
  const layout = new Layout(toHostPath(path.value));
  const layers = new Layers(layout);
  const made = await layout.start();
  if (made.isErr()) return err(made.error);
  const found = await layers.start();
  if (found.isErr()) return err(found.error);
  const probed = await probeOverlay(layout);
  if (probed.isErr()) return err(probed.error);
  const { snapshots, caches } = makeRecords(layout, layers);
  for (const records of [snapshots, caches]) {
    const read = await records.start(found.value);
    if (read.isErr()) return err(read.error);
  }
  await layers.removeUnheld(found.value);
  return ok(new OverlayfsStore({ place: { layout, layers }, lock, snapshots, caches, maxLayers }));
}

function makeRecords(
  layout: Layout,
  layers: Layers,
): { readonly snapshots: Records<StepKey>; readonly caches: Records<CacheId> } {
  const snapshots = new Records<StepKey>({
    layout,
    layers,
    directory: layout.snapshots,
    toFileName: (key) => key,
    fromFileName: (name) => (isStepKey(name) ? name : undefined),
  });
  const caches = new Records<CacheId>({
    layout,
    layers,
    directory: layout.caches,
    toFileName: escapeName,
    fromFileName: (name) => {
      const id = unescapeName(name);
      return id === undefined ? undefined : toCacheId(id);
    },
  });
  return { snapshots, caches };
}
