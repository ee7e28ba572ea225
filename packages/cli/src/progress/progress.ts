import type { BuildEvent, StepKey } from '@snapstep/core';
import type { Failure } from '../failure.ts';

/** Shows one build on standard error while it goes on. */
export interface Progress extends AsyncDisposable {
  event(event: BuildEvent): Promise<void>;
  /** A word to the user from the command itself. */
  announce(text: string): void;
  fail(failure: Failure): Promise<void>;
  /** The last lines of the step that failed; empty where it is shown otherwise. */
  tailOf(key: StepKey): readonly string[];
}

/** How the progress is shown; `auto` is live on a terminal and plain elsewhere. */
export type ProgressMode = 'auto' | 'plain' | 'json';
