import type { Mutant } from '../mutant.ts';
import { abortMutants } from './aborts.ts';
import { cacheCopyMutants } from './cache-copies.ts';
import { cacheMutants } from './caches.ts';
import { contentMutants } from './content.ts';
import { crashMutants } from './crash.ts';
import { endingMutants } from './endings.ts';
import { featureMutants, transferMutants } from './features.ts';
import { fullDiskMutants } from './full-disk.ts';
import { imageMutants } from './images.ts';
import { isolationMutants, mountMutants } from './isolation.ts';
import { kindMutants } from './kinds.ts';
import { lifecycleMutants } from './lifecycle.ts';
import { removalMutants } from './removal.ts';
import { usageMutants } from './usage.ts';

export const storeMutants: readonly Mutant[] = [
  ...lifecycleMutants,
  ...removalMutants,
  ...endingMutants,
  ...abortMutants,
  ...isolationMutants,
  ...mountMutants,
  ...contentMutants,
  ...cacheMutants,
  ...cacheCopyMutants,
  ...kindMutants,
  ...usageMutants,
  ...fullDiskMutants,
  ...featureMutants,
  ...transferMutants,
  ...imageMutants,
  ...crashMutants,
];
