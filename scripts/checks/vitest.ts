import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import type { Tally } from './report.ts';
import { repository } from './run-tool.ts';

export interface VitestOptions {
  /** Where the tests make their temporary files. */
  readonly temp: string;
  readonly tarballs: string;
  readonly signal: AbortSignal;
}

/** Of vitest's JSON report. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly message?: string;
    readonly status: string;
    readonly assertionResults: readonly {
      readonly ancestorTitles: readonly string[];
      readonly fullName: string;
      readonly status: string;
    }[];
  }[];
}

/** Runs all tests and counts each. A file that cannot be loaded, and an error outside of any test, count as failed. */
export async function runVitest(tally: Tally, options: VitestOptions): Promise<void> {
  if (options.signal.aborted) return;
  const report = join(repository, '.tools/vitest.json');
  const before = tally.failed.length;
  const result = await execa(
    'vitest',
    ['run', '--reporter=default', '--reporter=json', `--outputFile.json=${report}`],
    {
      cwd: repository,
      env: { TMPDIR: options.temp, SNAPSTEP_TARBALLS: options.tarballs },
      cancelSignal: options.signal,
      // It unmounts and stops containers before it ends.
      forceKillAfterDelay: 60_000,
      preferLocal: true,
      localDir: repository,
      reject: false,
      stdio: ['ignore', 'inherit', 'inherit'],
    },
  );
  if (options.signal.aborted) return void tally.failed.push('vitest: stopped');
  countReport(tally, JSON.parse(await readFile(report, 'utf8')) as VitestReport);
  if (result.exitCode !== 0 && tally.failed.length === before)
    tally.failed.push('vitest: an error outside of the tests');
}

/** Counts each test. A file that cannot be loaded counts as failed. */
export function countReport(tally: Tally, report: VitestReport): void {
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
