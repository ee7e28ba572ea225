import { styleText } from 'node:util';
import type { BuildEvent, StepKey, StepOp, StepSource } from '@snapstep/core';

/** What became of one step in one build. */
export interface StepResult {
  /** Such as `compiled 3: run make -j2`. */
  readonly title: string;
  readonly source: StepSource;
  readonly milliseconds: number;
}

/** Prints a line for every step that ends, and below them, on a terminal, what is running now. */
export interface Progress extends Disposable {
  readonly onEvent: (event: BuildEvent) => void;
  /** In the order in which they ended. */
  readonly results: readonly StepResult[];
  /** What the last step printed. */
  lastOutput(): string;
}

/** Characters of a step's log, for the line of what is running and for what went wrong. */
const KEPT_OUTPUT = 4000;

interface Running {
  readonly title: string;
  readonly since: number;
  output: string;
}

export function watchBuild(): Progress {
  const running = new Map<string, Running>();
  const results: StepResult[] = [];
  let last = '';
  const line = liveLine(() => [...running.values()].at(-1));
  const done = (event: Extract<BuildEvent, { type: 'step-done' }>, step: Running): void => {
    running.delete(idOf(event));
    last = step.output;
    results.push({ title: step.title, source: event.source, milliseconds: event.milliseconds });
    line.print(`  ${styleText('green', '✓')} ${describe(event).padEnd(8)} ${step.title}`);
  };
  return {
    results,
    lastOutput: () => last,
    [Symbol.dispose]: () => line.end(),
    onEvent(event) {
      if (event.type === 'stage-started' || event.type === 'step-queued') return;
      if (event.type === 'note') return line.print(`  ${event.text}`);
      const step = running.get(idOf(event)) ?? { title: event.stage, since: performance.now(), output: '' };
      if (event.type === 'step-started') {
        running.set(idOf(event), { ...step, title: `${event.stage} ${event.number}: ${titleOf(event.op)}` });
      } else if (event.type === 'step-output') {
        step.output = (step.output + Buffer.from(event.chunk).toString()).slice(-KEPT_OUTPUT);
      } else if (event.type === 'step-done') {
        done(event, step);
      } else {
        line.print(`  ${styleText('red', '✗')} ${step.title}\n${step.output}`);
      }
    },
  };
}

export function describe(result: { readonly source: StepSource; readonly milliseconds: number }): string {
  return result.source === 'ran'
    ? `${(result.milliseconds / 1000).toFixed(1)} s`
    : `${result.source}${result.source === 'cache' ? 'd' : ''}`;
}

function titleOf(op: StepOp): string {
  if (op.op === 'base') return `from ${op.image}`;
  if (op.op === 'run') return shorten(`run ${op.command.replaceAll(/\s+/g, ' ').trim()}`);
  const from = op.from === 'context' ? '' : `from ${op.from.stage} `;
  return shorten(`copy ${from}${op.src.join(' ')}`);
}

/** Two stages may have a step in common. */
function idOf(event: { readonly stage: string; readonly key: StepKey }): string {
  return `${event.stage} ${event.key}`;
}

/** The two ends of a long command say more than its beginning. */
function shorten(title: string): string {
  return title.length <= 56 ? title : `${title.slice(0, 23)} … ${title.slice(-30)}`;
}

function liveLine(current: () => Running | undefined) {
  const clear = process.stdout.isTTY ? '\r\x1b[K' : '';
  const draw = (): void => {
    const step = current();
    if (step === undefined) return;
    const seconds = ((performance.now() - step.since) / 1000).toFixed(0);
    const output =
      step.output
        .trimEnd()
        .split(/[\r\n]/)
        .at(-1) ?? '';
    const text = `  … ${seconds} s  ${step.title}  ${output}`.replaceAll(/\p{Cc}/gu, ' ');
    process.stdout.write(`${clear}${text.slice(0, process.stdout.columns - 1)}`);
  };
  const timer = process.stdout.isTTY ? setInterval(draw, 200) : undefined;
  return {
    print: (text: string): void => void process.stdout.write(`${clear}${text}\n`),
    end(): void {
      clearInterval(timer);
      process.stdout.write(clear);
    },
  };
}
