/** One at a time, the others in the order in which they asked. */
export class Turn {
  #isTaken = false;
  readonly #waiting: (() => void)[] = [];

  /** How many have it or wait for it. */
  get length(): number {
    return this.#waiting.length + (this.#isTaken ? 1 : 0);
  }

  /** @returns What gives it back; undefined if the signal was aborted first. */
  async take(signal: AbortSignal): Promise<Disposable | undefined> {
    if (signal.aborted) return undefined;
    if (this.#isTaken && !(await this.#wait(signal))) return undefined;
    this.#isTaken = true;
    let isHeld = true;
    return {
      [Symbol.dispose]: () => {
        if (isHeld) this.#give();
        isHeld = false;
      },
    };
  }

  #wait(signal: AbortSignal): Promise<boolean> {
    return new Promise((resolve) => {
      const next = (): void => {
        signal.removeEventListener('abort', leave);
        resolve(true);
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(next), 1);
        resolve(false);
      };
      this.#waiting.push(next);
      signal.addEventListener('abort', leave, { once: true });
    });
  }

  /** It goes straight to the next in line, so that nobody can slip in between. */
  #give(): void {
    const next = this.#waiting.shift();
    if (next) next();
    else this.#isTaken = false;
  }
}
