import type { EscapeChar } from './dockerfile-words.ts';
import { titleOf } from './print-spec.ts';
import type { Op, Spec, Stage, UserRef } from './spec.ts';
import type { StageScope } from './stage-scope.ts';

/** The Dockerfile as far as it is written. */
export interface Sheet {
  readonly lines: string[];
  readonly lost: string[];
  readonly buildkit: boolean;
  readonly escapeChar: EscapeChar;
  readonly defaultShell: readonly string[] | undefined;
}

/** What the ops of one stage depend on. */
export interface StageState {
  /** The Dockerfile's name of each stage that a copy may name. */
  readonly stages: StageScope<string>;
  /** Undefined until the spec says it: then it is the base image's. */
  user: UserRef | undefined;
  /** Undefined until the spec says it: then it is Docker's own. */
  shell: readonly string[] | undefined;
}

export function lose(sheet: Sheet, op: Op | { op: 'base'; image: string }, what: string): void {
  sheet.lost.push(`${titleOf(op)}: ${what}`);
}

/**
 * Gives each stage a name that Docker accepts (small letters, digits, `.`, `_` and `-`) and that nothing else in the
 * file has: neither another stage, nor a base image, which `FROM` would then take for the stage.
 */
export function stageNames(spec: Spec): (stage: Stage) => string {
  const taken = new Set(['scratch', 'context', ...baseImages(spec)]);
  const counts = new Map<string, number>();
  return (stage) => {
    const stem = stage.name
      .toLowerCase()
      .replace(/[^a-z0-9._-]/g, '-')
      .replace(/^(?![a-z])/, 'stage-');
    let name = stem;
    let count = counts.get(stem) ?? 2;
    for (; taken.has(name); count += 1) name = `${stem}-${count}`;
    counts.set(stem, count);
    taken.add(name);
    return name;
  };
}

function* baseImages(spec: Spec): Generator<string> {
  yield spec.from.toLowerCase();
  for (const stage of spec.stages) yield* baseImages(stage.spec);
}
