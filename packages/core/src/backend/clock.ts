/** What the builder asks for the time. Nothing that decides what is older depends on it: wall clocks jump. */
export interface Clock {
  /** Milliseconds since 1970, as `Date.now`. May step back. */
  now(): number;
  /** Milliseconds since some moment, as `performance.now`. Never steps back. */
  elapsed(): number;
  /** Calls `fire` after so many milliseconds, unless it is disposed before. It keeps no process alive. */
  setTimer(milliseconds: number, fire: () => void): Disposable;
}

export const systemClock: Clock = {
  now: () => Date.now(),
  elapsed: () => performance.now(),
  setTimer(milliseconds, fire) {
    const timer = setTimeout(fire, milliseconds).unref();
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  },
};
