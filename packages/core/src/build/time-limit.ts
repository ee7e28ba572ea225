import type { Clock } from '../backend/clock.ts';

/** What no more time is left for. */
export interface Timed {
  readonly clock: Clock;
  /** Undefined: it may take as long as it takes. */
  readonly timeoutMs: number | undefined;
  /** Of whoever asks for the work. */
  readonly signal: AbortSignal;
}

/**
 * Does work that stops when its signal aborts, and aborts that when the time is over.
 *
 * @returns What it came to; `late` where it was not done in time, and its caller had not stopped it either.
 */
export async function inTime<T extends { isErr(): boolean }>(
  { clock, timeoutMs, signal }: Timed,
  work: (signal: AbortSignal) => Promise<T>,
): Promise<T | 'late'> {
  if (timeoutMs === undefined) return work(signal);
  const end = new AbortController();
  using _timer = clock.setTimer(timeoutMs, () => end.abort());
  const isLate = (): boolean => end.signal.aborted && !signal.aborted;
  try {
    const done = await work(AbortSignal.any([signal, end.signal]));
    return done.isErr() && isLate() ? 'late' : done;
  } catch (error) {
    if (error === end.signal.reason && isLate()) return 'late';
    throw error;
  }
}
