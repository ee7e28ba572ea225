/** A mutant that no test kills, and why that is right. */
export interface Survivor {
  /** The function or method it is in. */
  readonly within: string;
  /** As the command names it. */
  readonly name: string;
  readonly why: string;
}

/** By file. */
export const SURVIVORS: Readonly<Record<string, readonly Survivor[]>> = {};
