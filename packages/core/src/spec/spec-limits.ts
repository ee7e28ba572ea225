/** How much a spec may ask of the machine that reads it. A spec that goes beyond is invalid. */
export interface SpecLimits {
  /** Of the text, in UTF-8; of a spec that was not read from text, what its texts have together. Default: 1 MiB. */
  readonly bytes: number;
  /**
   * Commands, names, paths, patterns and all other texts; of a spec that is read from text, each word and each list in it.
   * Default: 20,000.
   */
  readonly texts: number;
  /** In all stages together. Default: 1000. */
  readonly ops: number;
  /** Default: 250. */
  readonly stages: number;
  /** How deep stages may lie within stages. Default: 64. */
  readonly depth: number;
  /**
   * What the environments of all `run` steps have together, each as `execve` counts it: names, values and ten bytes for
   * a variable. A variable counts for every `run` behind it. Default: 4 MiB.
   */
  readonly environmentBytes: number;
}

const DEFAULT: SpecLimits = {
  bytes: 1024 * 1024,
  texts: 20_000,
  ops: 1000,
  stages: 250,
  depth: 64,
  environmentBytes: 4 * 1024 * 1024,
};

/** @throws RangeError where a number is not at least 0. */
export function specLimits(limits: Partial<SpecLimits> = {}): SpecLimits {
  const all = { ...DEFAULT, ...limits };
  for (const [name, value] of Object.entries(all))
    if (!(value >= 0))
      throw new RangeError(`the limit "${name}" of specs is ${value}, but must be at least 0`);
  return all;
}

type Counted = Exclude<keyof SpecLimits, 'depth'>;

/** What of the limits a spec has used so far. */
export class SpecSize {
  readonly limits: SpecLimits;
  #used = { bytes: 0, texts: 0, ops: 0, stages: 0, environmentBytes: 0 };

  constructor(limits: SpecLimits) {
    this.limits = limits;
  }

  /** @returns What is wrong, where that is more than there may be. */
  add(amount: number, what: Counted): string | undefined {
    this.#used[what] += amount;
    return this.#used[what] > this.limits[what] ? tooMuch(this.limits, what) : undefined;
  }
}

const CALLED: Readonly<Record<Counted, string>> = {
  bytes: 'bytes of text',
  texts: 'texts',
  ops: 'ops',
  stages: 'stages',
  environmentBytes: 'bytes in the environments of its steps',
};

/** The message, which names the limit for whoever may raise it. */
export function tooMuch(limits: SpecLimits, what: Counted): string {
  return `the spec has more than ${limits[what]} ${CALLED[what]} (the limit "${what}")`;
}
