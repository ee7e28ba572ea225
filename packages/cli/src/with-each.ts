import { err, ok, type Result } from '@snapstep/core';
import { reportFailure } from './action.ts';
import type { Failure } from './failure.ts';

/**
 * Does the same with each of several things that the user named. One that fails keeps none of the others from its
 * turn: each failure is told when it happens, and the exit code is that of the worst.
 */
export async function withEach<T>(
  items: readonly T[],
  work: (item: T) => PromiseLike<Result<void, Failure>>,
  signal: AbortSignal,
): Promise<Result<void, Failure>> {
  let worst = 0;
  for (const item of items) {
    if (signal.aborted) break;
    const done = await work(item);
    if (done.isOk()) continue;
    worst = Math.max(worst, done.error.exitCode);
    if (done.error.message !== '') await reportFailure(done.error);
  }
  return worst === 0 ? ok() : err({ exitCode: worst, message: '' });
}
