import { styleText } from 'node:util';
import cliTruncate from 'cli-truncate';
import { formatDuration } from './format.ts';
import { sanitizeLine } from './sanitize.ts';
import { describeStep, labelOf, type ShownStep } from './steps.ts';

/** At most so many lines of a step's log are shown. */
const TAIL_LINES = 6;

export interface FrameOptions {
  readonly columns: number;
  readonly rows: number;
  readonly now: number;
  /** What has ended, such as `3 cached, 1 ran`. */
  readonly summary: string;
}

/** What the live view shows now: each running step with the end of its log, those that wait, and a line for the whole. */
export function renderFrame(steps: readonly ShownStep[], options: FrameOptions): string {
  // The sort is stable.
  const running = steps.toSorted((a, b) => Number(isWaiting(a)) - Number(isWaiting(b)));
  const shown = running.slice(0, Math.max(1, options.rows - 3));
  const spare = options.rows - 2 - shown.length;
  const tail = Math.max(0, Math.min(TAIL_LINES, Math.floor(spare / Math.max(1, shown.length))));
  const hidden = running.length - shown.length;
  const lines = shown.flatMap((step) => stepLines(step, { ...options, tail }));
  return [...lines, cut(`${options.summary}${hidden > 0 ? `, ${hidden} more` : ''}`, options.columns)].join(
    '\n',
  );
}

/** A styled text, or the text itself where standard error shows no colours (`NO_COLOR`, not a terminal). */
export function paint(style: 'bold' | 'dim' | 'green' | 'red' | 'cyan', text: string): string {
  return styleText(style, text, { stream: process.stderr });
}

/** A line that the terminal does not wrap. */
export function cut(line: string, columns: number): string {
  const width = Math.max(1, columns - 1);
  // Measuring a very long line takes time, and no character needs more than a dozen code units.
  return cliTruncate(line.slice(0, width * 12), width);
}

function isWaiting({ startedAt }: ShownStep): boolean {
  return startedAt === undefined;
}

function stepLines(step: ShownStep, options: FrameOptions & { readonly tail: number }): string[] {
  if (step.startedAt === undefined)
    return [paint('dim', cut(`${labelOf(step)}  waiting  ${describeStep(step)}`, options.columns))];
  const elapsed = formatDuration(options.now - step.startedAt);
  const head = `${labelOf(step)}  ${elapsed}  ${describeStep(step)}`;
  const rest = step.splitter.rest();
  const log = [...step.tail, ...(rest === '' ? [] : [sanitizeLine(rest)])];
  const lines = options.tail === 0 ? [] : log.slice(-options.tail);
  return [
    paint('cyan', cut(head, options.columns)),
    ...lines.map((line) => paint('dim', cut(`  | ${line}`, options.columns))),
  ];
}
