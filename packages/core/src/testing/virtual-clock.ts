import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../backend/clock.ts';

interface Timer {
  readonly due: number;
  readonly fire: () => void;
}

/** Time that stands still until a test moves it: for `openBuilder` and `scriptedSandbox`. */
export interface VirtualClock extends Clock {
  /**
   * Moves the time on. Timers that fall due fire in their order, each at its own time, and what they set off has a turn
   * of the event loop before the next one. Where that is more, such as writing a file, go on from one
   * {@link untilSleep} to the next.
   */
  advance(milliseconds: number): Promise<void>;
  /** Sets what {@link Clock.now} tells, back as well. Neither timers nor {@link Clock.elapsed} take notice. */
  setTime(now: Date): void;
  /** Settles after so many milliseconds of this clock; rejects with the signal's reason if that comes first. */
  sleep(milliseconds: number, signal?: AbortSignal): Promise<void>;
  /** Settles once somebody sleeps: then the clock can be advanced. */
  untilSleep(): Promise<void>;
}

/** @param start - What it shows at first. Default: the first second of 2000, UTC. */
export function virtualClock(start: Date = new Date('2000-01-01T00:00:00Z')): VirtualClock {
  return new SteppedClock(start.getTime());
}

class SteppedClock implements VirtualClock {
  #offset: number;
  #elapsed = 0;
  readonly #timers = new Set<Timer>();
  #sleepers = 0;
  #asleep = Promise.withResolvers<void>();

  constructor(start: number) {
    this.#offset = start;
  }

  now(): number {
    return this.#offset + this.#elapsed;
  }

  elapsed(): number {
    return this.#elapsed;
  }

  setTime(now: Date): void {
    this.#offset = now.getTime() - this.#elapsed;
  }

  async advance(milliseconds: number): Promise<void> {
    const end = this.#elapsed + milliseconds;
    for (let next = this.#next(end); next !== undefined; next = this.#next(end)) {
      this.#elapsed = Math.max(this.#elapsed, next.due);
      this.#timers.delete(next);
      next.fire();
      await setImmediate();
    }
    this.#elapsed = end;
  }

  setTimer(milliseconds: number, fire: () => void): Disposable {
    const timer = { due: this.#elapsed + milliseconds, fire };
    this.#timers.add(timer);
    return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
  }

  async sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    using _timer = this.setTimer(milliseconds, resolve);
    const abort = (): void => reject(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    this.#sleepers += 1;
    this.#asleep.resolve();
    try {
      await promise;
    } finally {
      signal?.removeEventListener('abort', abort);
      this.#sleepers -= 1;
      if (this.#sleepers === 0) this.#asleep = Promise.withResolvers();
    }
  }

  untilSleep(): Promise<void> {
    return this.#asleep.promise;
  }

  /** The first that falls due; of two at the same time the one that was set first. */
  #next(end: number): Timer | undefined {
    const due = [...this.#timers].filter((timer) => timer.due <= end);
    return due.sort((one, other) => one.due - other.due)[0];
  }
}
