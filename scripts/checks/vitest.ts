import { readFile, rm } from 'node:fs/promises';
import { join, relative } from 'node:path';
import type { Tries } from '@snapstep/test-support';
import { execa } from 'execa';
import type { Tally } from './report.ts';
import { repository } from './run-tool.ts';

export interface VitestOptions {
  /** Files, `-t` and a title, `--config` and a file, ... */
  readonly args: readonly string[];
  /** What is printed meanwhile. Default: `default`. */
  readonly reporter?: 'default' | 'dot' | 'verbose';
  /** Where the tests make their temporary files. */
  readonly temp: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly signal: AbortSignal;
}

/** Of vitest's JSON report. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly status: string;
    /** Milliseconds since 1970. */
    readonly startTime: number;
    readonly endTime: number;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly fullName: string;
      readonly status: string;
      /** What the test told of itself. */
      readonly meta?: { readonly tries?: Tries };
    }[];
  }[];
}

export interface VitestRun {
  /** Undefined if vitest came to no report. */
  readonly report: VitestReport | undefined;
  readonly exitCode: number;
}

/** Runs tests on this machine. A stop gives a run without a report. */
export async function runVitest(options: VitestOptions): Promise<VitestRun> {
  const { args, reporter = 'default', temp, env, signal } = options;
  const output = join(repository, `.tools/vitest-${process.pid}.json`);
  const argv = ['run', ...vitestReporters(output, reporter), ...args];
  const { exitCode } = await execa('vitest', argv, {
    cwd: repository,
    env: { TMPDIR: temp, ...env },
    cancelSignal: signal,
    // It unmounts, destroys its pools and stops containers before it ends.
    forceKillAfterDelay: 60_000,
    preferLocal: true,
    localDir: repository,
    reject: false,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const report = signal.aborted ? undefined : await readReport(output);
  await rm(output, { force: true });
  return { report, exitCode: exitCode ?? 1 };
}

/** Arguments of vitest: one reporter for people, and the one of {@link readReport}. */
export function vitestReporters(output: string, reporter: string): readonly string[] {
  return [`--reporter=${reporter}`, '--reporter=json', `--outputFile.json=${output}`];
}

/** Undefined if it was not written. */
export async function readReport(path: string): Promise<VitestReport | undefined> {
  const text = await readFile(path, 'utf8').catch(() => undefined);
  return text === undefined ? undefined : (JSON.parse(text) as VitestReport);
}

/** Counts each test. A file that cannot be loaded, a run without a report, and an error outside of any test count as failed. */
export function countRun(tally: Tally, { report, exitCode }: VitestRun, title = 'vitest'): void {
  const before = tally.failed.length;
  if (report === undefined) tally.failed.push(`${title}: no report of its tests (exit code ${exitCode})`);
  else countReport(tally, report);
  if (exitCode !== 0 && tally.failed.length === before) {
    tally.failed.push(`${title}: an error outside of the tests`);
  }
}

/** Prints which files took longest, since they decide how long the whole run takes. */
export function printLongest({ report }: VitestRun, howMany = 25): void {
  const files = (report?.testResults ?? []).map(({ name, startTime, endTime }) => ({
    name: relative(repository, name),
    seconds: (endTime - startTime) / 1000,
  }));
  const longest = files.toSorted((a, b) => b.seconds - a.seconds).slice(0, howMany);
  const all = files.reduce((sum, { seconds }) => sum + seconds, 0);
  console.log(`\nThe longest of ${files.length} files, which took ${all.toFixed(0)} s one after the other:`);
  for (const { name, seconds } of longest) console.log(`${seconds.toFixed(1).padStart(8)} s  ${name}`);
}

function countReport(tally: Tally, report: VitestReport): void {
  for (const file of report.testResults) {
    if (file.status === 'failed' && file.assertionResults.every((test) => test.status !== 'failed')) {
      tally.failed.push(`${file.name}: ${file.message ?? 'failed'}`);
    }
    for (const test of file.assertionResults) {
      if (test.status === 'passed') tally.passed += 1;
      else if (test.status === 'failed') tally.failed.push(test.fullName);
      else tally.skipped += 1;
    }
  }
}
