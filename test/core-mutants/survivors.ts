import type { Mutant } from './instrument.ts';
import { BACKEND } from './survivors/backend.ts';
import { BUILD } from './survivors/build.ts';
import { CACHE } from './survivors/cache.ts';
import { LOG } from './survivors/log.ts';
import { PLAN } from './survivors/plan.ts';
import { STEPS } from './survivors/steps.ts';
import type { Survivor, Survivors } from './survivors/survivor.ts';

/** By file. */
export const SURVIVORS: Survivors = {
  ...BACKEND,
  ...BUILD,
  ...CACHE,
  ...LOG,
  ...PLAN,
  ...STEPS,
};

/** What is known of a mutant that no test kills. */
export function listed({ file, within, name }: Mutant): Survivor | undefined {
  return SURVIVORS[file]?.find((one) => one.within === within && one.names.includes(name));
}
