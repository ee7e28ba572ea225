import { printSummary, type Tally } from '../checks/report.ts';
import { stopSignal } from '../checks/stop.ts';
import { countSuites, type GuestJob } from './count-suites.ts';
import { whyNoSuite } from './suite.ts';

/**
 * A command that runs jobs on a kernel with OpenZFS and closes with `N passed, N failed`. Its arguments go to vitest: where
 * they name files, only those run, on one machine.
 */
export async function suiteCommand(jobs: readonly GuestJob[], args: readonly string[]): Promise<number> {
  const signal = stopSignal();
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const reason = whyNoSuite();
  if (reason === undefined) {
    const named = args.some((arg) => arg.startsWith('packages/'));
    const wanted = jobs.map((job) => ({ ...job, args: [...job.args, ...args] }));
    await countSuites(tally, named ? [{ title: args.join(' '), args }] : wanted, { signal });
  } else {
    for (const { title } of jobs) console.log(`↓ ${title}: ${reason}`);
    tally.skipped += jobs.length;
  }
  return printSummary(tally);
}
