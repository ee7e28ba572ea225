/** Mutants that no test kills, and why that is right. */
export interface Survivor {
  /** The function or method that they are in. */
  readonly within: string;
  /** As the command names them. */
  readonly names: readonly string[];
  readonly why: string;
  /** Now and then a test comes early enough to kill them. */
  readonly isRace?: true;
}

/** By file, below `packages/core/src`. */
export type Survivors = Readonly<Record<string, readonly Survivor[]>>;
