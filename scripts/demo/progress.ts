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
  return {
    results,
    lastOutput: () => last,
    [Symbol.dispose]: () => line.end(),
    onEvent(event) {
      if (event.type === 'step-started') {
        const title = `${event.stage} ${event.number}: ${titleOf(event.op)}`;
        running.set(idOf(event), { title, since: performance.now(), output: '' });
      } else if (event.type === 'step-output') {
        const step = running.get(idOf(event));
        if (step) step.output = (step.output + Buffer.from(event.chunk).toString()).slice(-4000);
      } else if (event.type === 'step-done') {
        const step = running.get(idOf(event));
        running.delete(idOf(event));
        if (step === undefined) return;
        last = step.output;
        results.push({ title: step.title, source: event.source, milliseconds: event.milliseconds });
        line.print(`  ${styleText('green', '✓')} ${describe(event).padEnd(8)} ${step.title}`);
      } else if (event.type === 'step-failed') {
        const step = running.get(idOf(event));
        line.print(`  ${styleText('red', '✗')} ${step?.title ?? event.stage}\n${step?.output ?? ''}`);
      } else if (event.type === 'note') {
        line.print(`  ${event.text}`);
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
