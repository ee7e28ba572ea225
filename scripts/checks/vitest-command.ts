import { leftovers, privateTemp } from './leftovers.ts';
import { printSummary, runCheck, type Tally } from './report.ts';
import { stopSignal } from './stop.ts';
import { countRun, runVitest, type VitestOptions } from './vitest.ts';

/** Runs some tests as a command of their own: counts them, and looks that nothing of them is left. @returns The exit code. */
export async function vitestCommand(options: Pick<VitestOptions, 'args' | 'env'>): Promise<number> {
  const stop = stopSignal();
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const temp = await privateTemp();
  const nothingLeft = await leftovers(temp, stop);
  countRun(tally, await runVitest({ ...options, temp, signal: stop }));
  await runCheck(tally, nothingLeft, new AbortController().signal);
  return printSummary(tally);
}
