import { printSummary, type Tally } from '../checks/report.ts';
import { stopSignal } from '../checks/stop.ts';
import { countRun } from '../checks/vitest.ts';
import { runSuite, whyNoSuite } from './suite.ts';

/**
 * A command that runs the tests of one directory on a kernel with OpenZFS and closes with `N passed, N failed`. Its
 * arguments go to vitest; with none that names a file, all of the directory run.
 */
export async function suiteCommand(directory: string, args: readonly string[]): Promise<number> {
  const signal = stopSignal();
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const reason = whyNoSuite();
  if (reason === undefined) {
    const named = args.some((arg) => arg.startsWith(directory));
    await countSuite(tally, {
      title: directory,
      args: named ? args : [directory, ...args],
      signal,
    });
  } else {
    console.log(`↓ ${directory}: ${reason}`);
    tally.skipped += 1;
  }
  return printSummary(tally);
}

export interface CountedSuite {
  /** For a failure outside of the tests. */
  readonly title: string;
  readonly args: readonly string[];
  readonly temp?: string;
  readonly onOutput?: (chunk: Uint8Array) => void;
  readonly signal: AbortSignal;
}

/** Runs tests on a kernel with OpenZFS, and counts each. */
export async function countSuite(tally: Tally, { title, ...options }: CountedSuite): Promise<void> {
  if (options.signal.aborted) return;
  try {
    countRun(tally, await runSuite(options), title);
  } catch (error) {
    tally.failed.push(`${title}: ${error instanceof Error ? error.message : error}`);
  }
}
