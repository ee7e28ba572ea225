import { storePromises } from '@snapstep/core/conformance';
import type { Mutant } from '../mutant.ts';
import { abortMutants } from './aborts.ts';
import { cacheCopyMutants } from './cache-copies.ts';
import { cacheMutants } from './caches.ts';
import { contentMutants } from './content.ts';
import { crashMutants } from './crash.ts';
import { endingMutants } from './endings.ts';
import { featureMutants, transferMutants } from './features.ts';
import { imageMutants } from './images.ts';
import { isolationMutants, mountMutants } from './isolation.ts';
import { lifecycleMutants } from './lifecycle.ts';
import { usageMutants } from './usage.ts';

export const storeMutants: readonly Mutant[] = [
  ...lifecycleMutants,
  ...endingMutants,
  ...abortMutants,
  ...isolationMutants,
  ...mountMutants,
  ...contentMutants,
  ...cacheMutants,
  ...cacheCopyMutants,
  ...usageMutants,
  ...featureMutants,
  ...transferMutants,
  ...imageMutants,
  ...crashMutants,
];

/** The names of the mutants of each promise of `storeSuite` and `crashSuite`. */
export function mutantsByPromise(): ReadonlyMap<string, readonly string[]> {
  return new Map(
    Object.values(storePromises).map((promise) => [
      promise,
      storeMutants.filter((mutant) => mutant.promise === promise).map(({ name }) => name),
    ]),
  );
}
