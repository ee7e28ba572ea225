import type { CaseReport, DamageCase } from './case.ts';
import { FAULTS } from './finding.ts';

export interface Reported extends CaseReport {
  readonly case: DamageCase;
  readonly milliseconds: number;
}

/** What came of each kind of damage, and of each class of file: how many cases have how many of each fault. */
export function table(reports: readonly Reported[]): string {
  const rows = Map.groupBy(reports, (report) => rowOf(report.case));
  const names = [...rows.keys()].sort();
  const width = Math.max(...names.map((name) => name.length), 'all'.length);
  const columns = ['cases', 'told', ...FAULTS];
  const line = (name: string, cells: readonly (string | number)[]): string =>
    [name.padEnd(width), ...cells.map((cell, i) => `${cell}`.padStart(columns[i]?.length ?? 0))].join('  ');
  return [
    line('', columns),
    ...names.map((name) => line(name, count(rows.get(name) ?? []))),
    line('all', count(reports)),
  ].join('\n');
}

function rowOf({ kind, class: name }: DamageCase): string {
  return kind.startsWith('file ') ? name : kind;
}

function count(reports: readonly Reported[]): readonly (string | number)[] {
  const findings = reports.flatMap((report) => report.findings);
  const faults = FAULTS.map((fault) => findings.filter((finding) => finding.fault === fault).length || '.');
  return [reports.length, reports.reduce((sum, { told }) => sum + told, 0), ...faults];
}
