/**
 * Runs all tests that show that nobody reads what is not theirs, and tells how often it was tried: `npm run test:reads`.
 * Directories are exchanged thousands of times; core dumps are tried in a virtual machine. `npm test` has all of it, with
 * fewer tries. Arguments go to vitest, and then neither the guest nor the tests of parts of files run: `-- -t exchanged`.
 */
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { READ_FILES, READ_TESTS } from './checks/read-tests.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { stopSignal } from './checks/stop.ts';
import { countRun, runVitest, type VitestReport, type VitestRun } from './checks/vitest.ts';
import { countSuites } from './guest/count-suites.ts';
import { CORE_DUMP_JOBS } from './guest/jobs.ts';
import { hasZfs, whyNoSuite } from './guest/suite.ts';

const stop = stopSignal();
const chosen = process.argv.slice(2);
const tally: Tally = { passed: 0, failed: [], skipped: 0 };
const reports: VitestReport[] = [];

process.exitCode = await main();

async function main(): Promise<number> {
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp, stop);
  const run = (args: readonly string[]) =>
    runVitest({ args, temp, env: { SNAPSTEP_READS: 'all' }, signal: stop });
  count(await run([...READ_FILES, ...chosen]), READ_FILES);
  if (chosen.length === 0 && !stop.aborted) {
    const titles = READ_TESTS.flatMap((each) => each.titles);
    const files = READ_TESTS.map(({ file }) => file);
    const some = await run([...files, '-t', titles.join('|')]);
    count({ ...some, report: some.report && onlyNamed(some.report) }, files);
    await dumpCores(temp);
  }
  await runCheck(tally, nothingLeft, new AbortController().signal);
  printTries();
  return printSummary(tally);
}

/** @param wanted - The files that must have had tests: one that is gone would not be missed otherwise. */
function count(run: VitestRun, wanted: readonly string[]): void {
  countRun(tally, run);
  if (run.report !== undefined) reports.push(run.report);
  const files = run.report?.testResults.map(({ name }) => name) ?? [];
  const lost = wanted.filter((file) => !files.some((name) => name.endsWith(`/${file}`)));
  if (chosen.length === 0) tally.failed.push(...lost.map((file) => `${file} has no such tests`));
}

/** Without the tests beside the named ones, which vitest calls skipped; a file without any is left out. */
function onlyNamed(report: VitestReport): VitestReport {
  const files = report.testResults.map((file) => {
    const titles = READ_TESTS.filter((each) => file.name.endsWith(`/${each.file}`)).flatMap(
      (each) => each.titles,
    );
    const named = file.assertionResults.filter(({ fullName }) =>
      titles.some((title) => fullName.includes(title)),
    );
    const isWhole = titles.every((title) => named.some(({ fullName }) => fullName.includes(title)));
    return { ...file, assertionResults: isWhole ? named : [] };
  });
  return { testResults: files.filter(({ assertionResults }) => assertionResults.length > 0) };
}

async function dumpCores(temp: string): Promise<void> {
  const reason = hasZfs() ? 'this machine starts no guest' : whyNoSuite();
  if (reason === undefined) {
    const onReport = (report: VitestReport) => void reports.push(report);
    return countSuites(tally, CORE_DUMP_JOBS, { temp, onReport, signal: stop });
  }
  for (const { title } of CORE_DUMP_JOBS) console.log(`↓ ${title}: ${reason}`);
  tally.skipped += CORE_DUMP_JOBS.length;
}

function printTries(): void {
  const all = reports
    .flatMap(({ testResults }) => testResults.flatMap((file) => file.assertionResults))
    .flatMap(({ meta }) => (meta?.tries === undefined ? [] : [meta.tries]));
  console.log('');
  for (const { what, made, read } of all) console.log(`${`${made}`.padStart(8)} ${what}: ${read} read`);
  const sum = (key: 'made' | 'read') => all.reduce((total, each) => total + each[key], 0);
  console.log(`${`${sum('made')}`.padStart(8)} tries: ${sum('read')} read what is not theirs`);
}
