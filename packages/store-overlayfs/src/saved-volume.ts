import { mkdir, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  err,
  failed,
  ok,
  type Result,
  type SharedMount,
  type StoreError,
  toHostPath,
  type Volume,
  type VolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { BOTTOM, INNER, type LayerIds, type Layers } from './layers.ts';
import type { Layout } from './layout.ts';
import { overlayMount } from './overlay-mount.ts';
import type { VolumeLayers } from './records.ts';

const debug = createDebug('snapstep:store-overlayfs');

export interface Place {
  readonly layout: Layout;
  readonly layers: Layers;
}

export function savedVolumes(place: Place, volumes: VolumeLayers): Volumes {
  return new Map([...volumes].map(([name, ids]) => [name, savedVolume(place, { name, ids })]));
}

/** A volume of saved layers; each mount of it is an overlay of its own, which nobody can write to. */
export function savedVolume(
  place: Place,
  { name, ids }: { readonly name: VolumeName; readonly ids: LayerIds },
): Volume {
  return {
    name,
    async mount() {
      const target = place.layout.workspace.fresh();
      const mount = await makeMount(place, { ids, target });
      if (mount.isErr()) return err(mount.error);
      const mounted = await mount.value.mount();
      await mount.value.close(() => cleanUp(place, { ids, target }));
      return mounted;
    },
  };
}

async function makeMount(
  { layout, layers }: Place,
  { ids, target }: { readonly ids: LayerIds; readonly target: string },
): Promise<Result<SharedMount, StoreError>> {
  const bottom = await layers.haveBottom();
  if (bottom.isErr()) return err(bottom.error);
  // Nobody may let go of them between this look and the hold.
  if (!layers.areHeld(ids)) return err(failed('the volume is gone: what it belonged to was removed'));
  layers.hold(ids);
  const made = await attempt(mkdir(target));
  if (made.isErr()) {
    await layers.release(ids);
    return err(made.error);
  }
  const overlay = { cwd: layout.layers, lower: [...ids, BOTTOM], target };
  return ok(overlayMount(overlay, toHostPath(join(target, INNER))));
}

async function cleanUp(
  { layers }: Place,
  { ids, target }: { readonly ids: LayerIds; readonly target: string },
): Promise<void> {
  const released = await layers.release(ids);
  const removed = await attempt(rmdir(target));
  for (const done of [released, removed]) {
    if (done.isErr()) debug('left for the next open: %o', done.error);
  }
}
