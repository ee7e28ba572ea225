import type { Scene } from './scene.ts';

/** `problem`: builds fail or lie until it is mended. `warning`: they will, or suffer. */
export type State = 'ok' | 'warning' | 'problem' | 'not-applicable';

export interface Finding {
  readonly state: State;
  /** What is so, in one line. */
  readonly found: string;
  /** What to type, or to do, so that it is well. Only where it is not. */
  readonly mend?: string;
}

/** One thing to look at. It changes nothing, takes no lock, and so works beside a running builder. */
export interface Check {
  /** In kebab case, as `--json` has it. */
  readonly name: string;
  look(scene: Scene): Promise<Finding> | Finding;
}

export function fine(found: string): Finding {
  return { state: 'ok', found };
}

export function notApplicable(found: string): Finding {
  return { state: 'not-applicable', found };
}

export function warning(found: string, mend: string): Finding {
  return { state: 'warning', found, mend };
}

export function problem(found: string, mend: string): Finding {
  return { state: 'problem', found, mend };
}
