import type { StepKey } from '../backend/names.ts';

/** Why a step has the key it has. */
export interface Explanation {
  readonly key: StepKey;
  /** The canonical inputs, as JSON. */
  readonly inputs: unknown;
  /** The saved step whose inputs differ least, and each difference; undefined if none is comparable. */
  readonly nearest: { readonly key: StepKey; readonly differences: readonly Difference[] } | undefined;
}

/** One place where two steps' inputs differ. `was` or `is` is undefined where it is absent. */
export interface Difference {
  /** Such as `env.OPAMJOBS` or `parent`. */
  readonly path: string;
  readonly was: unknown;
  readonly is: unknown;
}
