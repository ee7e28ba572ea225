import type { VerdictReport } from './run.ts';

/** One line: what was cut, and what is left. */
export function describeVerdict(report: VerdictReport): string {
  const { world, cut, answered, saved, wrong, lostAges, problems } = report;
  const lost = lostAges.length === 0 ? 'none' : `${lostAges.length}, ${ages(lostAges)}`;
  const mark = problems.length === 0 ? '✓' : '✗';
  const counts = `${answered} answered, ${saved} saved, ${wrong} wrong, lost: ${lost}`;
  const lines = problems.slice(0, 5).map(({ kind, text }) => `    ${kind}: ${text.slice(0, 1000)}`);
  if (problems.length > 5) lines.push(`    and ${problems.length - 5} more`);
  return [`${mark} ${world}, ${cut.moment}: ${counts}`, ...lines].join('\n');
}

/** What all cuts came to: by world, and by moment. */
export function summaryTable(reports: readonly VerdictReport[]): string {
  const byWorld = Map.groupBy(reports, (report) => report.world);
  const byMoment = Map.groupBy(reports, ({ cut }) => cut.moment);
  const head = [
    '',
    'cuts',
    'steps answered',
    'saved',
    'wrong',
    'lost',
    'their age',
    'not opened',
    'cuts with a problem',
  ];
  const rows = [...byWorld, ...byMoment, ['all', reports] as const].map(([name, group]) => row(name, group));
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((cells) => cells[i]?.length ?? 0)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, i) => (i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ');
  return [head, ...rows].map(line).join('\n');
}

function row(name: string, reports: readonly VerdictReport[]): readonly string[] {
  const sum = (count: (report: VerdictReport) => number) =>
    `${reports.reduce((total, report) => total + count(report), 0)}`;
  return [
    name,
    `${reports.length}`,
    sum(({ answered }) => answered),
    sum(({ saved }) => saved),
    sum(({ wrong }) => wrong),
    sum(({ lostAges }) => lostAges.length),
    ages(reports.flatMap(({ lostAges }) => lostAges).toSorted((a, b) => a - b)),
    sum(({ problems }) => (problems.some(({ kind }) => kind === 'unopened') ? 1 : 0)),
    sum(({ problems }) => Math.min(problems.length, 1)),
  ];
}

/** From the youngest to the oldest. */
function ages(sorted: readonly number[]): string {
  const [youngest, oldest] = [sorted.at(0), sorted.at(-1)];
  return youngest === undefined || oldest === undefined
    ? ''
    : `${youngest.toFixed(1)}-${oldest.toFixed(1)} s`;
}
