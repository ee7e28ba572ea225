/**
 * Copies of any tree over any tree, held against a model of what lands where: `npm run test:copy-model`. 10,000 cases in
 * the memory store and as many on Btrfs, and some hundreds in whole builds; `npm test` has a few hundred of them in all.
 * `SNAPSTEP_COPY_CASES` is another number. Arguments go to vitest, such as `-t Btrfs`.
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
  const env = { SNAPSTEP_COPY_CASES: process.env.SNAPSTEP_COPY_CASES ?? '10000' };
  const files = ['packages/core/test/build/copy-model'];
  countRun(tally, await runVitest({ args: [...files, ...args], temp, env, signal: stop }));
  await runCheck(tally, nothingLeft, new AbortController().signal);
  return printSummary(tally);
}
