import { err, failed, type StoreFeatures } from '@snapstep/core/backend';
import { ZfsActive } from './active-snapshot.ts';

/**
 * One quota on the dataset above the volumes: it counts what they take together beyond what they were cloned from,
 * so that nothing has to be divided among them.
 */
export function quota(): StoreFeatures['quota'] {
  return {
    async limit(snapshot, bytes) {
      if (!(snapshot instanceof ZfsActive)) return err(failed('this is no active snapshot of a ZFS store'));
      return snapshot.copy.limit(bytes);
    },
    async isUsedUp(snapshot) {
      if (!(snapshot instanceof ZfsActive)) return err(failed('this is no active snapshot of a ZFS store'));
      return snapshot.copy.isUsedUp();
    },
  };
}
