import { ok, type Result, type StoreError } from '@snapstep/core/backend';
import createDebug from 'debug';
import type { Inventory, MountedRow, VersionRow } from './inventory.ts';
import type { Place } from './place.ts';

const debug = createDebug('snapstep:store-zfs');

/** Finishes what a killed owner had begun: unmounts, completes what was published, and destroys the rest. */
export async function settle(place: Place, inventory: Inventory): Promise<Result<void, StoreError>> {
  const { trash } = place;
  await takeBack(
    place,
    inventory.mounted.filter(({ leftover }) => leftover === undefined),
  );
  for (const version of inventory.caches.values()) await makeIndependent(place, version);
  trash.add(inventory.leftovers);
  await trash.sweep();
  // What is still there is in use, maybe at a place where the next step wants to mount.
  await takeBack(
    place,
    inventory.mounted.filter(({ leftover }) => leftover !== undefined && trash.holds(leftover)),
  );
  await trash.hideAll();
  for (const version of inventory.caches.values()) await dropOlder(place, { version, inventory });
  return ok();
}

async function takeBack({ mounts }: Place, rows: readonly MountedRow[]): Promise<void> {
  await Promise.all(
    rows.map(async ({ dataset, mountpoint }) => {
      const unmounted = await mounts.takeBack({ dataset, mountpoint });
      if (unmounted.isErr()) debug('%s stays mounted: %o', dataset, unmounted.error);
    }),
  );
}

/** A published version that was not promoted yet would keep the one before it. */
async function makeIndependent({ zfs }: Place, { dataset, origin }: VersionRow): Promise<void> {
  if (origin === undefined) return;
  const promoted = await zfs.promote(dataset);
  if (promoted.isErr()) debug('%s stays a clone of %s: %o', dataset, origin, promoted.error);
  else await zfs.destroySnapshot(`${dataset}@${origin.split('@')[1]}`);
}

async function dropOlder(
  { zfs }: Place,
  { version, inventory }: { readonly version: VersionRow; readonly inventory: Inventory },
): Promise<void> {
  const own = `${version.dataset}@v${version.number}`;
  const older = [...inventory.names].filter((name) => name.startsWith(`${version.dataset}@`) && name !== own);
  for (const snapshot of older) {
    const dropped = await zfs.destroySnapshot(snapshot);
    if (dropped.isErr()) debug('%s stays: %o', snapshot, dropped.error);
  }
}
