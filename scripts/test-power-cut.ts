/**
 * What builders lose when the power is cut: `npm run test:power-cut`. Builders work on Btrfs, XFS and ext4; their disks
 * are copied at many moments, and each copy is opened as after the next start of the machine. A line for each cut, then
 * a table; the last line is `N passed, N failed`.
 *
 * `-- --minutes 20` goes on with other builds until the time is over; `--seed N` begins with those of a failure. Other
 * arguments choose worlds by a part of their names, such as `xfs`.
 */
import { parseArgs } from 'node:util';
import { lacking } from '@snapstep/test-support/machine';
import { LONG, MISTAKEN, NEEDS } from '../test/power-cut/plans.ts';
import { type Report, type RunTask, runPowerCuts, type VerdictReport } from '../test/power-cut/run.ts';
import { describeVerdict, summaryTable } from '../test/power-cut/table.ts';
import { nameOf } from '../test/power-cut/world.ts';
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { type Check, printSummary, runCheck, type Tally } from './checks/report.ts';
import { stopSignal } from './checks/stop.ts';

const stop = stopSignal();
const { values, positionals } = parseArgs({
  options: { minutes: { type: 'string', default: '0' }, seed: { type: 'string', default: '1' } },
  allowPositionals: true,
});
process.exitCode = await main();

async function main(): Promise<number> {
  const worlds = LONG.worlds.filter(
    (world) => positionals.length === 0 || positionals.some((part) => nameOf(world).includes(part)),
  );
  if (worlds.length === 0) {
    console.error(`no world has such a name; there are:\n${LONG.worlds.map(nameOf).join('\n')}`);
    return 2;
  }
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const missing = lacking(NEEDS);
  if (missing.length > 0) {
    console.log(`a power cut is not tried: it needs ${missing.join(', ')}`);
    tally.skipped += 1;
    return printSummary(tally);
  }
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp, stop);
  const verdicts = await cutForMinutes({ ...LONG, worlds, seed: Number(values.seed) }, { temp, tally });
  console.log(`\n${summaryTable(verdicts)}\n`);
  await runCheck(tally, findsMistake(temp), stop);
  await runCheck(tally, nothingLeft, new AbortController().signal);
  return printSummary(tally);
}

/** Once, and then again with other builds until the time is over. */
async function cutForMinutes(
  task: RunTask,
  { temp, tally }: { readonly temp: string; readonly tally: Tally },
): Promise<readonly VerdictReport[]> {
  const end = performance.now() + Number(values.minutes) * 60_000;
  const verdicts: VerdictReport[] = [];
  for (let { seed } = task; verdicts.length === 0 || performance.now() < end; seed += 1) {
    console.log(`seed ${seed}`);
    for await (const report of runPowerCuts({ ...task, seed }, { temp, signal: stop })) {
      if (report.type === 'verdict') verdicts.push(report);
      count(tally, report);
    }
    if (stop.aborted || tally.failed.length > 0) break;
  }
  return verdicts;
}

function count(tally: Tally, report: Report): void {
  const text = report.type === 'verdict' ? describeVerdict(report) : `✗ ${report.world}: ${report.message}`;
  console.log(text);
  if (report.type === 'verdict' && report.problems.length === 0) tally.passed += 1;
  else tally.failed.push(text.slice(2).split('\n')[0] ?? '');
}

/** Whether the cuts show that a store does not do what it says. */
function findsMistake(temp: string): Check {
  return {
    name: 'a store that only says that it syncs is found out',
    async run(signal) {
      const found: string[] = [];
      for await (const report of runPowerCuts({ ...MISTAKEN, seed: 1 }, { temp, signal })) {
        if (report.type === 'failed') return report.message;
        if (report.problems.length > 0) found.push(describeVerdict(report));
      }
      return found.length > 0 ? undefined : 'all that it had saved was as it was made';
    },
  };
}
