/**
 * The suites for backends over every backend that we have: `npm run test:conformance`. A line for each backend, and for
 * each disk or runtime that it was tried on; the last line is `N passed, N failed`.
 *
 * Arguments choose backends by a part of their files' paths, such as `store-rsync` or `memory`.
 */
import { globSync } from 'node:fs';
import { relative } from 'node:path';
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { repository } from './checks/run-tool.ts';
import { stopSignal } from './checks/stop.ts';
import { countRun, runVitest, type VitestReport } from './checks/vitest.ts';

/** By convention every backend runs its suites in files of these names. */
const SUITES = [
  'packages/core/test/conformance/*.test.ts',
  'packages/{store,sandbox,fetcher}-*/test/{suite,crash}.test.ts',
  'examples/store-*/test/*-store.test.ts',
];

const stop = stopSignal();
process.exitCode = await main(process.argv.slice(2));

async function main(wanted: readonly string[]): Promise<number> {
  const all = globSync(SUITES, { cwd: repository }).sort();
  const files = all.filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)));
  if (files.length === 0) {
    console.error(`no file of a suite has ${wanted.join(' or ')} in its path; there are:\n${all.join('\n')}`);
    return 2;
  }
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp, stop);
  const run = await runVitest({ args: files, reporter: 'dot', temp, signal: stop });
  for (const file of run.report?.testResults ?? []) printBackends(file);
  countRun(tally, run);
  await runCheck(tally, nothingLeft, new AbortController().signal);
  const mayNotSkip = process.env.CI !== undefined && process.getuid?.() === 0;
  if (mayNotSkip && tally.skipped > 0) tally.failed.push('nothing is skipped in CI');
  return printSummary(tally);
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
