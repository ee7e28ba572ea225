import type { Tally } from '../checks/report.ts';
import { countRun, type VitestReport } from '../checks/vitest.ts';
import { hasZfs, runSuite, type SuiteOptions } from './suite.ts';

/** The tests of one machine. */
export interface GuestJob {
  /** Printed before its output, and with a failure outside of the tests. */
  readonly title: string;
  /** What vitest gets. */
  readonly args: readonly string[];
}

export interface CountOptions {
  /** Where the tests make their temporary files. */
  readonly temp?: string;
  readonly onReport?: (report: VitestReport) => void;
  readonly signal: AbortSignal;
}

/**
 * Runs tests on a kernel with OpenZFS, and counts each. Every job has a machine of its own, all at once, since each keeps
 * little more than one core busy; on the machine's own kernel they run one after the other.
 */
export async function countSuites(
  tally: Tally,
  jobs: readonly GuestJob[],
  options: CountOptions,
): Promise<void> {
  let earlier: Promise<unknown> = Promise.resolve();
  for (const { title, args } of jobs) {
    const onOutput = inTurn(earlier, `\n${title}, on a kernel with OpenZFS\n`);
    if (hasZfs()) await earlier;
    const run = countSuite(tally, title, { ...options, args, onOutput });
    earlier = Promise.all([earlier, run]);
  }
  await earlier;
}

/** Prints what it is given as soon as `turn` has come, so that two outputs are not mixed. */
function inTurn(turn: Promise<unknown>, title: string): (chunk: Uint8Array) => void {
  let waiting: Uint8Array[] | undefined = [Buffer.from(title)];
  const print = (): void => {
    for (const chunk of waiting ?? []) process.stdout.write(chunk);
    waiting = undefined;
  };
  turn.then(print, print);
  return (chunk) => {
    if (waiting === undefined) process.stdout.write(chunk);
    else waiting.push(chunk);
  };
}

async function countSuite(
  tally: Tally,
  title: string,
  options: SuiteOptions & Pick<CountOptions, 'onReport'>,
): Promise<void> {
  if (options.signal.aborted) return;
  try {
    const start = performance.now();
    const run = await runSuite(options);
    console.log(`${title}: ${((performance.now() - start) / 1000).toFixed(0)} s`);
    if (run.report !== undefined) options.onReport?.(run.report);
    countRun(tally, run, title);
  } catch (error) {
    tally.failed.push(`${title}: ${error instanceof Error ? error.message : error}`);
  }
}
