import type { StepKey } from '../backend/names.ts';

/** One row of the index, as `list` gives it. */
export interface SavedStep {
  readonly key: StepKey;
  readonly parent: StepKey | undefined;
  /** One line, such as `(run (shell "make"))`. */
  readonly title: string;
  readonly savedAt: Date;
  readonly usedAt: Date;
  /** How long the step took to run. */
  readonly milliseconds: number;
}
