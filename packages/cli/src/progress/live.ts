import type { BuildEvent, StepKey, StepSource } from '@snapstep/core';
import { createLogUpdate } from 'log-update';
import { reportFailure } from '../action.ts';
import { formatDuration, formatTimes } from './format.ts';
import { cut, paint, renderFrame } from './live-frame.ts';
import type { Progress } from './progress.ts';
import { sanitizeName } from './sanitize.ts';
import { describeStep, labelOf, type ShownStep, type StepTable, stepTable } from './steps.ts';

const REDRAW_MS = 100;

/** A view that is drawn again and again at the end of the terminal; what has ended scrolls up out of it. */
export function liveProgress(): Progress {
  const steps = stepTable();
  const counts = new Map<string, number>();
  const tails = new Map<StepKey, readonly string[]>();
  const screen = liveScreen(() => ({ running: [...steps.running.values()], summary: summaryOf(counts) }));
  return {
    event: async (event) => show(event, { steps, counts, tails, screen }),
    announce: (text) => screen.persist(text),
    fail(failure) {
      screen.end();
      return reportFailure(failure);
    },
    tailOf: (key) => tails.get(key) ?? [],
    [Symbol.asyncDispose]: async () => screen.end(),
  };
}

interface State {
  readonly steps: StepTable;
  readonly counts: Map<string, number>;
  readonly tails: Map<StepKey, readonly string[]>;
  readonly screen: Screen;
}

function show(event: BuildEvent, { steps, counts, tails, screen }: State): void {
  if (event.type === 'note') screen.persist(sanitizeName(event.text));
  else if (event.type === 'stage-started') steps.stage(event);
  else if (event.type === 'step-queued') steps.queue(event);
  else if (event.type === 'step-started') steps.start(event);
  else if (event.type === 'step-output') steps.output(event);
  else {
    const shown = steps.end(event);
    if (event.type === 'step-done') count(counts, event.source);
    if (shown === undefined) return;
    if (event.type === 'step-failed') tails.set(event.key, shown.step.tail);
    screen.persist(`${labelOf(shown.step)}  ${endMark(event)}  ${describeStep(shown.step)}`);
  }
}

function endMark(event: Extract<BuildEvent, { type: 'step-done' | 'step-failed' }>): string {
  if (event.type === 'step-failed') {
    return event.error.type === 'cancelled' ? 'cancelled' : paint('red', 'failed');
  }
  if (event.source === 'cache') return paint('green', 'cached');
  const joined = event.source === 'joined' ? 'joined ' : '';
  return paint('green', `${joined}${formatTimes(event)}`);
}

function count(counts: Map<string, number>, source: StepSource): void {
  const name = source === 'cache' ? 'cached' : source;
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

function summaryOf(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([name, number]) => `${number} ${name}`).join(', ');
}

interface Screen {
  /** Writes a line that stays, above what is drawn again. */
  persist(line: string): void;
  /** Takes the view away. Nothing is drawn afterwards. */
  end(): void;
}

interface ScreenContent {
  readonly running: readonly ShownStep[];
  /** What has ended; empty while nothing has. */
  readonly summary: string;
}

function liveScreen(content: () => ScreenContent): Screen {
  const startedAt = Date.now();
  // A cursor that is hidden stays hidden when the process is killed.
  const draw = createLogUpdate(process.stderr, { showCursor: true });
  const size = () => ({ columns: process.stderr.columns ?? 80, rows: process.stderr.rows ?? 24 });
  const summary = (): string =>
    [formatDuration(Date.now() - startedAt), content().summary].filter(Boolean).join('  ');
  const redraw = (): void =>
    draw(renderFrame(content().running, { ...size(), now: Date.now(), summary: summary() }));
  let timer: NodeJS.Timeout | undefined = setInterval(redraw, REDRAW_MS);
  return {
    persist(line) {
      draw.persist(cut(line, size().columns));
      if (timer) redraw();
    },
    end() {
      if (timer === undefined) return;
      clearInterval(timer);
      timer = undefined;
      if (content().summary === '') draw.clear();
      else draw.persist(cut(summary(), size().columns));
      draw.done();
    },
  };
}
