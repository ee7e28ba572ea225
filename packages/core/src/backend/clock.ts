/** What the builder asks for the time. Nothing that decides what is older depends on it: wall clocks jump. */
export interface Clock {
  /** Milliseconds since 1970, as `Date.now`. May step back. */
  now(): number;
  /** Milliseconds since some moment, as `performance.now`. Never steps back. */
  elapsed(): number;
}

export const systemClock: Clock = { now: () => Date.now(), elapsed: () => performance.now() };
