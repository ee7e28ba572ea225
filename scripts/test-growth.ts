/**
 * Measures how the work for a spec, a reference to an image and an ignore file grows with its text, for every shape that
 * each can have: `npm run test:growth`. Arguments go to vitest, such as `-t "a reference"`.
 */
import { leftovers, privateTemp } from './checks/leftovers.ts';
import { printSummary, runCheck, type Tally } from './checks/report.ts';
import { stopSignal } from './checks/stop.ts';
import { countRun, runVitest } from './checks/vitest.ts';

const stop = stopSignal();
process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp, stop);
  countRun(tally, await runVitest({ args: ['test/growth', ...args], temp, signal: stop }));
  await runCheck(tally, nothingLeft, new AbortController().signal);
  return printSummary(tally);
}
