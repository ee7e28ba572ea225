import type { Clock } from '../backend/clock.ts';
import type { BuildEvent, BuildNews, BuildRequest } from './builder.ts';

/**
 * Gives events to a build's listener, one after the other. A listener that throws ends its own build: `onBug`
 * is told what it threw, and no more events come.
 */
export class EventQueue {
  readonly #listener: BuildRequest['onEvent'];
  readonly #onBug: (error: unknown) => void;
  readonly #signal: AbortSignal;
  readonly #clock: Pick<Clock, 'now'>;
  #tail: Promise<void> = Promise.resolve();
  #isBroken = false;

  constructor(
    listener: BuildRequest['onEvent'],
    options: {
      readonly onBug: (error: unknown) => void;
      readonly signal: AbortSignal;
      readonly clock: Pick<Clock, 'now'>;
    },
  ) {
    this.#listener = listener;
    this.#onBug = options.onBug;
    this.#signal = options.signal;
    this.#clock = options.clock;
  }

  /** Without a listener nobody needs to read logs. */
  get isHeard(): boolean {
    return this.#listener !== undefined;
  }

  /** Settles, and never rejects, when the listener is done with it, or when the build is aborted. */
  async emit(news: BuildNews): Promise<void> {
    const event: BuildEvent = { ...news, at: new Date(this.#clock.now()) };
    this.#tail = this.#tail.then(() => this.#deliver(event));
    await this.unlessAborted(this.#tail);
  }

  /** A listener that never comes back holds up nothing but itself once its build is aborted. */
  async unlessAborted(work: Promise<void>): Promise<void> {
    if (this.#signal.aborted) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    const stop = (): void => resolve();
    this.#signal.addEventListener('abort', stop);
    try {
      await Promise.race([work, promise]);
    } finally {
      this.#signal.removeEventListener('abort', stop);
    }
  }

  async #deliver(event: BuildEvent): Promise<void> {
    if (this.#isBroken) return;
    try {
      await this.#listener?.(event);
    } catch (error) {
      this.#isBroken = true;
      this.#onBug(error);
    }
  }
}
