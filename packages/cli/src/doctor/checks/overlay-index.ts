import { type Check, fine, notApplicable } from '../check.ts';

/** With an index, an overlay that leaked into another mount namespace makes the next mount of it fail (moby#34948). */
export const overlayIndex: Check = {
  name: 'overlay-index',
  async look({ store, read }) {
    if (store.kind !== 'overlayfs') return notApplicable(`the store is of the kind ${store.kind}`);
    const index = (await read('/sys/module/overlay/parameters/index'))?.trim();
    if (index === undefined) return fine('the kernel has no index of overlays');
    return fine(index === 'Y' ? 'on for the machine; this store turns it off for its own mounts' : 'off');
  },
};
