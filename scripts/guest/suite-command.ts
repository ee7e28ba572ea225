import { printSummary, type Tally } from '../checks/report.ts';
import { countReport } from '../checks/vitest.ts';
import { runSuite, whyNoSuite } from './suite.ts';

/**
 * A command that runs the tests of one directory on a kernel with OpenZFS and closes with `N passed, N failed`. Its
 * arguments go to vitest; with none that names a file, all of the directory run.
 */
export async function suiteCommand(directory: string, args: readonly string[]): Promise<number> {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => stop.abort(new Error(`stopped by ${signal}`)));
  }
  const tally: Tally = { passed: 0, failed: [], skipped: 0 };
  const reason = whyNoSuite();
  if (reason === undefined) {
    const named = args.some((arg) => arg.startsWith(directory));
    await countSuite(tally, {
      title: directory,
      args: named ? args : [directory, ...args],
      signal: stop.signal,
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
  const before = tally.failed.length;
  try {
    const { report, exitCode } = await runSuite(options);
    if (report === undefined) tally.failed.push(`${title}: no report of its tests (exit code ${exitCode})`);
    else countReport(tally, report);
    if (exitCode !== 0 && tally.failed.length === before)
      tally.failed.push(`${title}: an error outside of the tests`);
  } catch (error) {
    tally.failed.push(`${title}: ${error instanceof Error ? error.message : error}`);
  }
}
