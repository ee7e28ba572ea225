import {
  type BuildEvent,
  type BuildNews,
  type StepKey,
  type StepOp,
  type StepPlace,
  titleOf,
} from '@snapstep/core';
import { type LineSplitter, lineSplitter } from './line-splitter.ts';
import { sanitizeLine, sanitizeName } from './sanitize.ts';

const TAIL = 20;

/** A step of the build that is shown, from its start to its end. */
export interface ShownStep {
  readonly key: StepKey;
  readonly stage: string;
  readonly number: number;
  /** How many steps the stage has. */
  readonly total: number;
  readonly op: StepOp;
  /** Milliseconds since 1970; undefined while it waits for its turn. */
  readonly startedAt: number | undefined;
  readonly splitter: LineSplitter;
  /** The newest lines of its log, fit to be shown. */
  readonly tail: string[];
}

/** Keeps the steps of one build that have not ended, as its events tell. */
export interface StepTable {
  /** Every step that is queued or runs, in the order in which they came. */
  readonly running: ReadonlyMap<string, ShownStep>;
  queue(event: Extract<BuildNews, { type: 'step-queued' }>): ShownStep;
  /** Whether the step still waits for its turn. */
  isWaiting(step: ShownStep): boolean;
  start(event: Extract<BuildEvent, { type: 'step-started' }>): ShownStep;
  /** @returns The lines that are complete now, fit to be shown. */
  output(
    event: Extract<BuildNews, { type: 'step-output' }>,
  ): { step: ShownStep; lines: string[] } | undefined;
  /** @returns The step, and what it printed after its last newline. */
  end(event: { stage: string; key: StepKey }): { step: ShownStep; lines: string[] } | undefined;
  stage(event: Extract<BuildNews, { type: 'stage-started' }>): void;
}

export function stepTable(): StepTable {
  const running = new Map<string, ShownStep>();
  const totals = new Map<string, number>();
  const shownOf = ({ key, stage, number, op }: StepPlace): Omit<ShownStep, 'startedAt'> => {
    const total = totals.get(stage) ?? number;
    return { key, stage, number, total, op, splitter: lineSplitter(), tail: [] };
  };
  const put = (step: ShownStep): ShownStep => {
    running.set(idOf(step), step);
    return step;
  };
  return {
    running,
    stage: (event) => void totals.set(event.stage, event.steps),
    queue: (event) => put({ ...shownOf(event), startedAt: undefined }),
    isWaiting: (step) => running.get(idOf(step)) === step,
    start: (event) => put({ ...(running.get(idOf(event)) ?? shownOf(event)), startedAt: event.at.getTime() }),
    output(event) {
      const step = running.get(idOf(event));
      return step && { step, lines: remember(step, step.splitter.push(event.chunk)) };
    },
    end(event) {
      const step = running.get(idOf(event));
      running.delete(idOf(event));
      const rest = step?.splitter.rest();
      return step && { step, lines: remember(step, rest ? [rest] : []) };
    },
  };
}

/** Such as `build 3/6`. */
export function labelOf(step: ShownStep): string {
  return `${sanitizeName(step.stage)} ${step.number}/${step.total}`;
}

/** One line that says what the step does. */
export function describeStep(step: ShownStep): string {
  return sanitizeLine(titleOf(step.op));
}

function remember(step: ShownStep, raw: readonly string[]): string[] {
  const lines = raw.map(sanitizeLine);
  step.tail.push(...lines.slice(-TAIL));
  step.tail.splice(0, step.tail.length - TAIL);
  return lines;
}

/** Two stages may share a step, and both show it. */
function idOf(event: { readonly stage: string; readonly key: StepKey }): string {
  return `${event.stage}\n${event.key}`;
}
