import type { LogSink } from '../backend/log-sink.ts';
import type { Exit, LimitName, ResourceLimits } from '../backend/sandbox.ts';
import type { VirtualClock } from './virtual-clock.ts';

/** The limits that a clock can enforce. */
export const CLOCK_LIMITS: readonly LimitName[] = ['timeoutMs', 'silenceMs'];

/** Ends a command by its signal when it has run, or been silent, for too long. */
export class ClockLimits implements Disposable {
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #clock: VirtualClock | undefined;
  readonly #limits: ResourceLimits;
  readonly #timers = new Map<LimitName, Disposable>();
  #exceeded: LimitName | undefined;

  constructor(
    clock: VirtualClock | undefined,
    options: { readonly limits: ResourceLimits; readonly signal: AbortSignal },
  ) {
    this.#clock = clock;
    this.#limits = options.limits;
    this.signal = AbortSignal.any([options.signal, this.#controller.signal]);
    for (const limit of CLOCK_LIMITS) this.#start(limit);
  }

  get exit(): Exit | undefined {
    return this.#exceeded && { type: 'limit-exceeded', limit: this.#exceeded };
  }

  /** An output that ends the silence whenever something is written. */
  listenTo(output: LogSink): LogSink {
    return {
      write: (chunk) => {
        this.#start('silenceMs');
        return output.write(chunk);
      },
    };
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers.values()) timer[Symbol.dispose]();
  }

  #start(limit: LimitName): void {
    const milliseconds = this.#limits[limit];
    if (milliseconds === undefined || this.#clock === undefined) return;
    this.#timers.get(limit)?.[Symbol.dispose]();
    const exceed = (): void => {
      this.#exceeded ??= limit;
      this.#controller.abort(limit);
    };
    this.#timers.set(limit, this.#clock.setTimer(milliseconds, exceed));
  }
}
