/** What is counted. `failed` has the name of each failure. */
export interface Tally {
  passed: number;
  readonly failed: string[];
  skipped: number;
}

export interface Check {
  readonly name: string;
  /** @returns What is wrong, to be shown; undefined if nothing is. */
  run(signal: AbortSignal): Promise<string | undefined>;
}

/** Runs one check, prints a line with its time, and counts it. After a stop it does nothing. */
export async function runCheck(tally: Tally, check: Check, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return;
  const start = performance.now();
  const problem = await check.run(signal).catch((error: unknown) => `${error}`);
  const seconds = ((performance.now() - start) / 1000).toFixed(1).padStart(6);
  console.log(`${problem === undefined ? '✓' : '✗'} ${check.name.padEnd(60)} ${seconds} s`);
  if (problem === undefined) {
    tally.passed += 1;
    return;
  }
  tally.failed.push(check.name);
  console.log(problem.trimEnd().replace(/^/gm, '    '));
}

/** @returns The exit code that fits. */
export function printSummary(tally: Tally): number {
  const ok = tally.failed.length === 0 && tally.passed > 0;
  console.log('');
  for (const name of tally.failed) console.log(`✗ ${name}`);
  const skipped = tally.skipped > 0 ? `, ${tally.skipped} skipped` : '';
  console.log(`${tally.passed} passed, ${tally.failed.length} failed${skipped}`);
  return ok ? 0 : 1;
}
