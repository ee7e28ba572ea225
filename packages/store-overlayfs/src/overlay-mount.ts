import { detachBelow, type HostPath, SharedMount } from '@snapstep/core/backend';
import createDebug from 'debug';
import { mountOverlay, type Overlay, unmount } from './mount.ts';

const debug = createDebug('snapstep:store-overlayfs');

/**
 * One overlay, mounted while somebody leases it. It is shared, because two overlays must not have the same upper
 * directory.
 *
 * @param path - What a lease gives: the target of the overlay, or something in it.
 */
export function overlayMount(overlay: Overlay, path: HostPath): SharedMount {
  return new SharedMount({
    path,
    mount: () => mountOverlay(overlay),
    unmount: () => unmountInsistently(overlay.target),
  });
}

/** What is in use is taken out of sight, and goes when its last user does (V1). */
async function unmountInsistently(target: string): Promise<void> {
  const unmounted = await unmount(target);
  if (unmounted.isOk()) return;
  const detached = await detachBelow(target);
  if (detached.isErr()) debug('still mounted: %o', detached.error);
}
