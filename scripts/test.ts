/** Every check and every test: `npm test`. The last line is `N passed, N failed`, with `, N skipped` if some were. */
import { join } from 'node:path';
import { commandChecks } from './checks/command-checks.ts';
import { openGuestSuites } from './checks/guest-suites.ts';
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { packAll, publishedTarballs } from './checks/pack.ts';
import { packageChecks } from './checks/package-checks.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { repository } from './checks/run-tool.ts';
import { stopSignal } from './checks/stop.ts';
import { countRun, printLongest, runVitest } from './checks/vitest.ts';

const stop = stopSignal();
// Nothing may be skipped where everything can run.
const mayNotSkip = process.env.CI !== undefined && process.getuid?.() === 0;

process.exitCode = await main();

async function main(): Promise<number> {
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp, stop);
  const guestSuites = openGuestSuites({ temp, signal: stop });
  const packed = join(repository, '.tools/packed');
  const checks = [
    ...commandChecks,
    { name: 'pnpm pack: every package', run: (signal: AbortSignal) => packAll(packed, signal) },
    ...packageChecks(await publishedTarballs(packed)),
  ];
  for (const check of checks) await runCheck(tally, check, stop);
  if (!stop.aborted) {
    const env = { SNAPSTEP_TARBALLS: packed };
    const run = await runVitest({ args: [], temp, env, signal: stop });
    countRun(tally, run);
    printLongest(run);
  }
  await guestSuites.run(tally);
  await runCheck(tally, nothingLeft, new AbortController().signal);
  if (mayNotSkip && tally.skipped > 0) tally.failed.push('nothing is skipped in CI');
  return printSummary(tally);
}
