import { setTimeout as sleep } from 'node:timers/promises';
import type { Result, StoreError } from '@snapstep/core/backend';

/** What is busy is often free a moment later (Z2): about four seconds in all. */
const DELAYS_MS = [20, 50, 100, 200, 400, 800, 1000, 1500];

/** Tries again, a bounded number of times, while something is busy that will not be busy for long. */
export async function whileBusy<T>(
  attempt: () => Promise<Result<T, StoreError>>,
  isWorthIt: (error: StoreError) => boolean = () => true,
): Promise<Result<T, StoreError>> {
  for (const delay of DELAYS_MS) {
    const result = await attempt();
    if (result.isOk() || result.error.type !== 'busy' || !isWorthIt(result.error)) return result;
    await sleep(delay);
  }
  return attempt();
}
