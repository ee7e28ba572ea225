import { closeSync, openSync, readdirSync } from 'node:fs';

/** Takes the descriptors of this process, so that none are left for others. */
export class Descriptors {
  readonly #taken: number[] = [];

  /** Takes all but so many. @returns How many were taken. */
  leave(count: number): number {
    this.release();
    try {
      for (;;) this.#taken.push(openSync('/dev/null', 'r'));
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'EMFILE') throw error;
    }
    for (let i = 0; i < count; i += 1) {
      const last = this.#taken.pop();
      if (last !== undefined) closeSync(last);
    }
    return this.#taken.length;
  }

  release(): number {
    const count = this.#taken.length;
    for (const descriptor of this.#taken.splice(0)) closeSync(descriptor);
    return count;
  }

  /** Those that are open now, without those that are only taken. */
  count(): number {
    return readdirSync('/proc/self/fd').length - this.#taken.length;
  }
}
