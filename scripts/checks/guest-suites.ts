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
      await runAll(tally, { temp, signal });
    },
  };
}

/** Two guests at once, since each keeps little more than one core busy; on the machine's own kernel, one after the other. */
async function runAll(tally: Tally, options: GuestSuitesOptions): Promise<void> {
  let earlier: Promise<unknown> = Promise.resolve();
  for (const title of DIRECTORIES) {
    const onOutput = inTurn(earlier, `\n${title}, on a kernel with OpenZFS\n`);
    if (hasZfs()) await earlier;
    const run = countSuite(tally, { title, args: [title], onOutput, ...options });
    earlier = Promise.all([earlier, run]);
  }
  await earlier;
}

/** Prints what it is given as soon as `turn` has come, so that two outputs are not mixed. */
function inTurn(turn: Promise<unknown>, title: string): (chunk: Uint8Array) => void {
  let waiting: Uint8Array[] | undefined = [Buffer.from(title)];
  turn.then(() => {
    for (const chunk of waiting ?? []) process.stdout.write(chunk);
    waiting = undefined;
  });
  return (chunk) => {
    if (waiting === undefined) process.stdout.write(chunk);
    else waiting.push(chunk);
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
