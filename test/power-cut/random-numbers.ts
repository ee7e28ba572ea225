export interface RandomNumbers {
  /** From 0, and less than `limit`. */
  below(limit: number): number;
  /** Undefined if there is none. */
  oneOf<T>(items: readonly T[]): T | undefined;
}

/** Always the same numbers for a seed: Mulberry32. */
export function randomNumbers(seed: number): RandomNumbers {
  let state = seed;
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
  return { below, oneOf: (items) => items[below(Math.max(items.length, 1))] };
}
