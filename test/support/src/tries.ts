import type { TaskMeta } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    /** Of a test that tries to read what is not its own. */
    tries?: Tries;
  }
}

export interface Tries {
  /** What was tried, for a line of a report. */
  readonly what: string;
  readonly made: number;
  /** How many came to what they were not to read. */
  readonly read: number;
}

/** How often to try: more for `npm run test:reads`. */
export function triesWanted(few: number, many: number): number {
  return process.env.SNAPSTEP_READS === 'all' ? many : few;
}

/** Tells `npm run test:reads` what a test tried. */
export function tellTries(task: { readonly meta: TaskMeta }, tries: Tries): void {
  task.meta.tries = tries;
}
