import type { StepKey } from '../backend/names.ts';

/** A saved step, as `list` gives it. */
export interface SavedStep {
  readonly key: StepKey;
  readonly parent: StepKey | undefined;
  /** One line, such as `(run (shell "make"))`. */
  readonly title: string;
  readonly savedAt: Date;
  readonly usedAt: Date;
  /** How long the step took from when it had its turn until it was saved, as its `step-done` tells. */
  readonly milliseconds: number;
}

/** A step that is put back into an index that was lost. */
export interface RestoredStep extends SavedStep {
  readonly op: string;
  readonly isDurable: boolean;
}

interface Row {
  readonly key: StepKey;
  readonly parent: StepKey | null;
  readonly title: string;
  readonly saved_ms: number;
  readonly used_ms: number;
  readonly run_ms: number;
}

/** @param found - A row of the table of steps. */
export function toStep(found: Record<string, unknown>): SavedStep {
  const row = found as unknown as Row;
  return {
    key: row.key,
    parent: row.parent ?? undefined,
    title: row.title,
    savedAt: new Date(row.saved_ms),
    usedAt: new Date(row.used_ms),
    milliseconds: row.run_ms,
  };
}
