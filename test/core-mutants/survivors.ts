import type { Mutant } from './instrument.ts';
import { BACKEND } from './survivors/backend.ts';
import { BUILD } from './survivors/build.ts';
import { CACHE } from './survivors/cache.ts';
import { LOG } from './survivors/log.ts';
import { PLAN } from './survivors/plan.ts';
import { STEPS } from './survivors/steps.ts';
import type { Survivors } from './survivors/survivor.ts';

/** By file. */
export const SURVIVORS: Survivors = {
  ...BACKEND,
  ...BUILD,
  ...CACHE,
  ...LOG,
  ...PLAN,
  ...STEPS,
};

/** Whether it is known that no test kills a mutant. */
export function isListed({ file, within, name }: Mutant): boolean {
  return (SURVIVORS[file] ?? []).some((one) => one.within === within && one.names.includes(name));
}
