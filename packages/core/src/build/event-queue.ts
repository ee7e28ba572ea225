import type { BuildEvent, BuildRequest } from './builder.ts';

/**
 * Gives events to a build's listener, one after the other. A listener that throws ends its own build: `onBug`
 * is told what it threw, and no more events come.
 */
export class EventQueue {
  readonly #listener: BuildRequest['onEvent'];
  readonly #onBug: (error: unknown) => void;
  #tail: Promise<void> = Promise.resolve();
  #broken = false;

  constructor(listener: BuildRequest['onEvent'], onBug: (error: unknown) => void) {
    this.#listener = listener;
    this.#onBug = onBug;
  }

  /** Without a listener nobody needs to read logs. */
  get isHeard(): boolean {
    return this.#listener !== undefined;
  }

  /** Settles, and never rejects, when the listener is done with it. */
  emit(event: BuildEvent): Promise<void> {
    this.#tail = this.#tail.then(() => this.#deliver(event));
    return this.#tail;
  }

  async #deliver(event: BuildEvent): Promise<void> {
    if (this.#broken) return;
    try {
      await this.#listener?.(event);
    } catch (error) {
      this.#broken = true;
      this.#onBug(error);
    }
  }
}
