import { setImmediate } from 'node:timers/promises';

/** So long may one build keep all others waiting. */
const TURN_MS = 10;

/** For long work without pauses: lets the rest of the process go on now and then. */
export class Turn {
  #began = performance.now();

  /** To be awaited at every place where others may have their turn. */
  async share(): Promise<void> {
    if (performance.now() - this.#began < TURN_MS) return;
    await setImmediate();
    this.#began = performance.now();
  }
}
