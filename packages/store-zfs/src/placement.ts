import { err, failed, type StoreFeatures } from '@snapstep/core/backend';
import { DatasetVolume } from './dataset-volume.ts';

/** Mounts a volume where the caller says, by the dataset's property `mountpoint`, and puts both back. */
export const placement: StoreFeatures['placement'] = {
  async mountAt(volume, target, options = {}) {
    if (volume instanceof DatasetVolume) return volume.mountAt(target, options);
    return err(failed(`the volume "${volume.name}" is not one of a ZFS store`));
  },
};
