import { type CountOptions, countSuites } from '../guest/count-suites.ts';
import { openGuest } from '../guest/guest.ts';
import { ALL_JOBS } from '../guest/jobs.ts';
import { projectDisk } from '../guest/project.ts';
import { hasZfs, whyNoSuite } from '../guest/suite.ts';
import type { Tally } from './report.ts';

export interface GuestSuites {
  /** Runs the tests of a kernel with OpenZFS and counts each; counts a skip, with the reason, where they cannot run. */
  run(tally: Tally): Promise<void>;
}

/** Starts to make the guest, if it is missing, beside whatever runs before the suites. */
export function openGuestSuites(options: CountOptions): GuestSuites {
  const { signal } = options;
  const ready = prepare(signal).then(
    () => undefined,
    (error: unknown) => error,
  );
  return {
    async run(tally) {
      if (signal.aborted) return;
      const reason = whyNoSuite();
      if (reason !== undefined) return skip(tally, reason);
      const problem = await ready;
      if (problem !== undefined) return void tally.failed.push(`the guest with OpenZFS: ${problem}`);
      await countSuites(tally, ALL_JOBS, options);
    },
  };
}

async function prepare(signal: AbortSignal): Promise<void> {
  if (whyNoSuite() !== undefined || hasZfs()) return;
  await openGuest(signal);
  await projectDisk(signal);
}

function skip(tally: Tally, reason: string): void {
  for (const { title } of ALL_JOBS) {
    console.log(`↓ ${title}: ${reason}`);
    tally.skipped += 1;
  }
}
