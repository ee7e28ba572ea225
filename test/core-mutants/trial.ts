import { setTimeout as delay, setImmediate } from 'node:timers/promises';
import { type Kill, limitOf, type MeasuredTest } from './job.ts';
import { board, choose } from './switchboard.ts';

export type Outcome = { readonly how: Kill; readonly message: string } | undefined;

/** How often, and how many times in a row, we look whether something goes on. */
const LOOK_MS = 25;
const QUIET_LOOKS = 20;
/** What keeps the process alive and does nothing by itself. Tests do not sleep, so a timer alone is a time-out. */
const IDLE = /^(Timeout|PipeWrap|TTYWrap|MessagePort|.*Server.*|TCPSocketWrap|FSEventWrap)$/;

const rejections: unknown[] = [];

/** Rejections and exceptions that nobody handles come to the trial that goes on. */
export function catchStrays(): void {
  for (const event of ['unhandledRejection', 'uncaughtException'] as const) {
    process.removeAllListeners(event);
    process.on(event, (reason: unknown) => void rejections.push(reason));
  }
}

/** Runs a test while a mutant is there. @returns How it failed; undefined if it passed. */
export async function trial(
  run: () => Promise<void>,
  { test, mutant }: { readonly test: MeasuredTest; readonly mutant: number },
): Promise<Outcome> {
  rejections.length = 0;
  choose(mutant);
  board.calls = 0;
  board.mostCalls = 20 * test.calls + 100_000;
  const end = new AbortController();
  try {
    return await Promise.race([result(run), hung(end.signal), late(test, end.signal)]);
  } finally {
    end.abort();
    board.mostCalls = Number.POSITIVE_INFINITY;
    choose(0);
  }
}

async function result(run: () => Promise<void>): Promise<Outcome> {
  try {
    await run();
  } catch (error) {
    return { how: 'failed', message: messageOf(error) };
  }
  // A rejection counts as not handled after the microtasks.
  await setImmediate();
  await setImmediate();
  return rejections.length === 0 ? undefined : { how: 'rejected', message: messageOf(rejections[0]) };
}

/**
 * A test waits for what never comes, once nothing of the process can make it come.
 *
 * @returns Undefined once the signal is aborted.
 */
export async function hung(signal: AbortSignal): Promise<Outcome> {
  for (let quiet = 0; quiet < QUIET_LOOKS; ) {
    await delay(LOOK_MS, undefined, { signal }).catch(() => {});
    if (signal.aborted) return undefined;
    const isBusy = process.getActiveResourcesInfo().some((kind) => !IDLE.test(kind));
    quiet = isBusy ? 0 : quiet + 1;
  }
  return { how: 'hung', message: 'nothing went on any more, and the test had not ended' };
}

async function late(test: MeasuredTest, signal: AbortSignal): Promise<Outcome> {
  const limit = limitOf(test);
  await delay(limit, undefined, { signal }).catch(() => {});
  return { how: 'late', message: `it took more than ${Math.round(limit / 1000)} seconds` };
}

function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  if (error.name === 'SuppressedError' && 'suppressed' in error) return messageOf(error.suppressed);
  return `${error.name}: ${error.message}`.split('\n').slice(0, 3).join(' ').slice(0, 300);
}
