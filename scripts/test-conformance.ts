/**
 * The suites for backends over every backend that we have: `npm run test:conformance`. A line for each backend, and for
 * each disk or runtime that it was tried on; the last line is `N passed, N failed`.
 *
 * Arguments choose backends by a part of their files' paths, such as `store-rsync` or `memory`.
 */
import { globSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { execa } from 'execa';
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { repository } from './checks/run-tool.ts';
import { countReport, type VitestReport } from './checks/vitest.ts';

/** By convention every backend runs its suites in files of these names. */
const SUITES = [
  'packages/core/test/conformance/*.test.ts',
  'packages/{store,sandbox,fetcher}-*/test/{suite,crash}.test.ts',
  'examples/store-*/test/*-store.test.ts',
];

const stop = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
}
process.exitCode = await main(process.argv.slice(2));

async function main(wanted: readonly string[]): Promise<number> {
  const all = globSync(SUITES, { cwd: repository }).sort();
  const files = all.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
  if (files.length === 0) throw new Error(`no file of a suite has ${wanted.join(' or ')} in its path`);
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp);
  const { report, isClean } = await runSuites(files, temp);
  for (const file of report.testResults) printBackends(file);
  countReport(tally, report);
  if (!isClean && tally.failed.length === 0) tally.failed.push('vitest: an error outside of the tests');
  await runCheck(tally, nothingLeft, new AbortController().signal);
  const mayNotSkip = process.env.CI !== undefined && process.getuid?.() === 0;
  if (mayNotSkip && tally.skipped > 0) tally.failed.push('nothing is skipped in CI');
  return printSummary(tally);
}

async function runSuites(
  files: readonly string[],
  temp: string,
): Promise<{ readonly report: VitestReport; readonly isClean: boolean }> {
  const output = join(repository, '.tools/conformance.json');
  const args = ['run', '--reporter=dot', '--reporter=json', `--outputFile.json=${output}`, ...files];
  const { exitCode } = await execa('vitest', args, {
    cwd: repository,
    env: { TMPDIR: temp },
    cancelSignal: stop.signal,
    // It unmounts and stops containers before it ends.
    forceKillAfterDelay: 60_000,
    preferLocal: true,
    localDir: repository,
    reject: false,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  return { report: JSON.parse(await readFile(output, 'utf8')) as VitestReport, isClean: exitCode === 0 };
}

/** What stands at the top of a file is one backend on one disk, or with one runtime. */
function printBackends({ name, assertionResults, message }: VitestReport['testResults'][number]): void {
  const backend = relative(repository, name).split('/')[1];
  if (assertionResults.length === 0) console.log(`✗ ${backend}: ${name} did not load: ${message ?? ''}`);
  for (const [title, tests = []] of Map.groupBy(assertionResults, (test) => test.ancestorTitles[0] ?? '')) {
    const count = (status: string) => tests.filter((test) => test.status === status).length;
    const [passed, failed] = [count('passed'), count('failed')];
    const skipped = tests.length - passed - failed;
    const mark = failed > 0 ? '✗' : passed > 0 ? '✓' : '-';
    console.log(
      `${mark} ${`${backend}: ${title}`.padEnd(90)} ${passed} passed, ${failed} failed, ${skipped} skipped`,
    );
  }
}
