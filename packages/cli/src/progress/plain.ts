import type { BuildError, BuildEvent, StepKey, StepSource } from '@snapstep/core';
import { reportFailure } from '../action.ts';
import { writeErr } from '../output.ts';
import { formatTimes, LONG_WAIT_MS } from './format.ts';
import type { Progress } from './progress.ts';
import { sanitizeName } from './sanitize.ts';
import { describeStep, labelOf, type ShownStep, type StepTable, stepTable } from './steps.ts';

/** Lines that only ever follow each other, each with its stage and step: for log files and CI services. */
export function plainProgress(): Progress {
  const steps = stepTable();
  const tails = new Map<StepKey, readonly string[]>();
  return {
    async event(event) {
      const text = linesOf(event, { steps, tails });
      if (text.length > 0) await writeErr(text.map((line) => `${line}\n`).join(''));
    },
    announce: (text) => void writeErr(`snapstep: ${text}\n`),
    fail: reportFailure,
    tailOf: (key) => tails.get(key) ?? [],
    [Symbol.asyncDispose]: async () => undefined,
  };
}

interface State {
  readonly steps: StepTable;
  readonly tails: Map<StepKey, readonly string[]>;
}

function linesOf(event: BuildEvent, { steps, tails }: State): string[] {
  switch (event.type) {
    case 'note':
      return [sanitizeName(event.text)];
    case 'stage-started':
      steps.stage(event);
      return [];
    case 'step-queued':
      tellLongWait(steps.queue(event), steps);
      return [];
    case 'step-started':
      return startLines(steps.start(event), event.source);
    case 'step-output': {
      const shown = steps.output(event);
      return shown ? prefixed(shown.step, shown.lines) : [];
    }
    case 'step-done': {
      const shown = steps.end(event);
      return shown ? prefixed(shown.step, [...shown.lines, doneLine(event)]) : [];
    }
    case 'step-failed': {
      const shown = steps.end(event);
      if (shown === undefined) return [];
      tails.set(event.key, shown.step.tail);
      return prefixed(shown.step, [...shown.lines, failedLine(event.error)]);
    }
  }
}

function startLines(step: ShownStep, source: StepSource): string[] {
  return prefixed(step, [describeStep(step), ...(source === 'joined' ? ['joined: it runs already'] : [])]);
}

function tellLongWait(step: ShownStep, steps: StepTable): void {
  const tell = (): void => {
    if (steps.isWaiting(step)) writeErr(`${labelOf(step)} | waiting for its turn\n`).catch(() => {});
  };
  setTimeout(tell, LONG_WAIT_MS).unref();
}

function doneLine(event: Extract<BuildEvent, { type: 'step-done' }>): string {
  return event.source === 'cache' ? 'cached' : `done in ${formatTimes(event)}`;
}

/** What a build that ends takes with it is not what made it end. */
function failedLine(error: BuildError): string {
  return error.type === 'cancelled' ? 'cancelled' : `failed: ${sanitizeName(error.message)}`;
}

function prefixed(step: ShownStep, lines: readonly string[]): string[] {
  return lines.map((line) => `${labelOf(step)} | ${line}`.trimEnd());
}
