import { openGuest } from '../guest/guest.ts';
import { projectDisk } from '../guest/project.ts';
import { hasZfs, whyNoSuite } from '../guest/suite.ts';
import { countSuite } from '../guest/suite-command.ts';
import type { Tally } from './report.ts';

export interface GuestSuitesOptions {
  /** Where the tests make their temporary files. */
  readonly temp: string;
  readonly signal: AbortSignal;
}

export interface GuestSuites {
  /** Runs the tests of a kernel with OpenZFS and counts each; counts a skip, with the reason, where they cannot run. */
  run(tally: Tally): Promise<void>;
}

const DIRECTORIES = ['packages/store-zfs/test/openzfs', 'packages/sandbox-macos/test/guest'];

/** Starts to make the guest, if it is missing, beside whatever runs before the suites. */
export function openGuestSuites({ temp, signal }: GuestSuitesOptions): GuestSuites {
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
      for (const title of DIRECTORIES) {
        console.log(`\n${title}, on a kernel with OpenZFS`);
        await countSuite(tally, { title, args: [title], temp, signal });
      }
    },
  };
}

async function prepare(signal: AbortSignal): Promise<void> {
  if (whyNoSuite() !== undefined || hasZfs()) return;
  await openGuest(signal);
  await projectDisk(signal);
}

function skip(tally: Tally, reason: string): void {
  for (const title of DIRECTORIES) {
    console.log(`↓ ${title}: ${reason}`);
    tally.skipped += 1;
  }
}
