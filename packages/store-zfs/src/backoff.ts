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

/** Calls work for each item, a few at a time, and gives the answers in the order of the items. */
export async function forEachOf<T, R>(
  items: Iterable<T>,
  { atMost, work }: { readonly atMost: number; readonly work: (item: T) => Promise<R> },
): Promise<R[]> {
  const answers: R[] = [];
  const todo = [...items].entries();
  const worker = async (): Promise<void> => {
    for (const [index, item] of todo) answers[index] = await work(item);
  };
  await Promise.all(Array.from({ length: atMost }, worker));
  return answers;
}
