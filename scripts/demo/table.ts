import { describe, type StepResult } from './progress.ts';

export interface DemoRun {
  readonly name: string;
  readonly milliseconds: number;
  readonly steps: readonly StepResult[];
}

/** The steps of all runs beside each other, and under them the time of each run. */
export function renderTable(runs: readonly DemoRun[]): string {
  const titles = [...new Set(runs.flatMap((run) => run.steps.map((step) => step.title)))].sort(byPlace);
  const rows = [
    ['', ...runs.map((run) => run.name)],
    ...titles.map((title) => [title, ...runs.map((run) => cell(run, title))]),
    ['whole build', ...runs.map((run) => `${(run.milliseconds / 1000).toFixed(2)} s`)],
  ];
  const widths = (rows[0] ?? []).map((_, column) =>
    Math.max(...rows.map((row) => (row[column] ?? '').length)),
  );
  const rule = `  ${widths.map((width) => '─'.repeat(width)).join('  ')}`;
  const lines = rows.map(
    (row) => `  ${row.map((text, i) => pad(text, { width: widths[i] ?? 0, left: i === 0 })).join('  ')}`,
  );
  return [lines[0], rule, ...lines.slice(1, -1), rule, lines.at(-1)].join('\n');
}

function cell(run: DemoRun, title: string): string {
  const step = run.steps.find((candidate) => candidate.title === title);
  return step === undefined ? 'not needed' : describe(step);
}

function pad(text: string, { width, left }: { readonly width: number; readonly left: boolean }): string {
  return left ? text.padEnd(width) : text.padStart(width);
}

/** The stages in order, the spec's own last, and their steps by number. */
function byPlace(a: string, b: string): number {
  const last = Number(a.startsWith('main ')) - Number(b.startsWith('main '));
  return last || a.localeCompare(b, 'en', { numeric: true });
}
