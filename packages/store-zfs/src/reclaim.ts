import { setTimeout as sleep } from 'node:timers/promises';
import { cancelled, err, ok, type Result, type StoreError } from '@snapstep/core/backend';
import type { Place } from './place.ts';

/** So long is waited for space that does not become free: another user of the pool may be freeing as well. */
const AT_MOST_MS = 10 * 60_000;

/** Waits until the pool has freed what was destroyed since the last call. It does so after the fact (Z16). */
export async function waitForFreeing(
  { layout, zfs, trash }: Place,
  signal?: AbortSignal,
): Promise<Result<void, StoreError>> {
  await trash.sweep();
  if (!trash.takeFreed()) return ok();
  const end = performance.now() + AT_MOST_MS;
  for (let delay = 20; ; delay = Math.min(2 * delay, 1000)) {
    const freeing = signal?.aborted ? err(cancelled(signal)) : await zfs.freeing(layout.dataset);
    if (freeing.isOk() && freeing.value === 0) return ok();
    const isLate = performance.now() > end;
    if (freeing.isErr() || isLate) trash.expectFreed();
    if (freeing.isErr()) return err(freeing.error);
    if (isLate) return err({ type: 'busy', message: `the pool is still freeing ${freeing.value} bytes` });
    await sleep(delay);
  }
}
