import { err, failed, type StoreFeatures } from '@snapstep/core/backend';
import { ZfsActive } from './active-snapshot.ts';
import type { Place } from './place.ts';

/**
 * One quota on the dataset above the volumes: it counts what they take together beyond what they were cloned from,
 * so that nothing has to be divided among them.
 */
export function quota({ zfs }: Place): StoreFeatures['quota'] {
  return {
    async limit(snapshot, bytes) {
      if (!(snapshot instanceof ZfsActive)) return err(failed('this is no active snapshot of a ZFS store'));
      return zfs.set({ quota: `${bytes}` }, snapshot.copy.dataset);
    },
  };
}
