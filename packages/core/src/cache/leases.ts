import type { StepKey } from '../backend/names.ts';

/** "Do not prune, keep reachable". Disposing it twice does no more than disposing it once. */
export interface Lease extends Disposable {
  readonly key: StepKey;
}

/** Which snapshots are in use, and by how many. It lives in memory: a crash ends every use. */
export class Leases {
  readonly #counts = new Map<StepKey, number>();

  take(key: StepKey): Lease {
    this.#counts.set(key, (this.#counts.get(key) ?? 0) + 1);
    let held = true;
    return {
      key,
      [Symbol.dispose]: () => {
        if (held) this.#drop(key);
        held = false;
      },
    };
  }

  has(key: StepKey): boolean {
    return this.#counts.has(key);
  }

  #drop(key: StepKey): void {
    const count = (this.#counts.get(key) ?? 0) - 1;
    if (count > 0) this.#counts.set(key, count);
    else this.#counts.delete(key);
  }
}
