/** Of the whole work, at one, two and four times the size, in milliseconds of this thread's processor. */
export type Growth = readonly [number, number, number];

/** Twice the time for twice the size is what is wanted: four times at the end. Twice that is no longer noise. */
const MOST = 8;
/** Some kernels count a thread's time in ticks of so much. */
const TICK_MS = 4;
/** What grows with the square in one run and not in the others was disturbed. */
const TRIES = 4;

export interface Work<T> {
  /** Of this size; made before the time counts. */
  readonly input: (size: number) => T;
  readonly run: (input: T) => unknown;
}

/** Measures work at one, two and four times its size, the best of some runs each. */
export async function growthOf<T>({ input, run }: Work<T>, size: number): Promise<Growth> {
  const inputs = [1, 2, 4].map((times) => input(times * size));
  let best: Growth = [Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY];
  for (let tries = 0; tries < TRIES && !isLinear(best); tries += 1) {
    const now: number[] = [];
    for (const one of inputs) now.push(await millisecondsOf(() => run(one)));
    best = best.map((before, i) => Math.min(before, now[i] as number)) as unknown as Growth;
  }
  return best;
}

export function isLinear([once, , fourTimes]: Growth): boolean {
  if (!Number.isFinite(fourTimes)) return false;
  return fourTimes <= MOST * Math.max(TICK_MS, once);
}

export function tell(growth: Growth): string {
  return growth.map((milliseconds) => milliseconds.toFixed(1).padStart(7)).join(' ');
}

async function millisecondsOf(work: () => unknown): Promise<number> {
  const start = process.threadCpuUsage();
  await work();
  const { user, system } = process.threadCpuUsage(start);
  return (user + system) / 1000;
}

/** How often it is looked at. */
const LOOK_MS = 2;

/**
 * The longest time that the work keeps this thread without a pause, in milliseconds of its processor: the least of some
 * runs, unless one is below `enough`.
 */
export async function longestBlock(work: () => Promise<void>, enough: number): Promise<number> {
  let best = Number.POSITIVE_INFINITY;
  for (let tries = 0; tries < TRIES && best >= enough; tries += 1) {
    const watch = new BlockWatch();
    await watch.next();
    await work();
    await watch.next();
    best = Math.min(best, watch.stop());
  }
  return best;
}

class BlockWatch {
  #longest = 0;
  #last = process.threadCpuUsage();
  readonly #timer = setInterval(() => this.#look(), LOOK_MS);

  /** Settles after a look. */
  next(): Promise<void> {
    return new Promise((resolve) => void setTimeout(resolve, 2 * LOOK_MS));
  }

  stop(): number {
    clearInterval(this.#timer);
    return this.#longest;
  }

  #look(): void {
    const { user, system } = process.threadCpuUsage(this.#last);
    this.#last = process.threadCpuUsage();
    this.#longest = Math.max(this.#longest, (user + system) / 1000);
  }
}
