import { type ChildProcess, spawn } from 'node:child_process';
import { pipeline, Readable, type Writable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { setTimeout as delay } from 'node:timers/promises';
import type { LimitName, RunRequest } from '@snapstep/core/backend';
import createDebug from 'debug';

const debug = createDebug('snapstep:session');

export interface SessionStart extends Pick<RunRequest, 'stdin' | 'output' | 'limits' | 'signal'> {
  /** Arguments of su(1). */
  readonly args: readonly string[];
  /** Ends everything of the user; answers why not, if it cannot. */
  readonly endUser: () => Promise<string | undefined>;
}

/** How a session came to its end. */
export interface SessionEnd {
  /** The exit of `su`; null if it was killed or could not be started, and `startError` says why. */
  readonly code: number | null;
  readonly startError?: Error;
  /** Why we ended it, if we did. */
  readonly stopped?: Stop;
  /** Why something of it still runs. */
  readonly stuck?: string;
}

type Stop =
  | { readonly why: 'cancelled' }
  | { readonly why: 'limit'; readonly limit: LimitName }
  | { readonly why: 'output'; readonly error: unknown };

/** How long a cancelled step may take to hand over what it has printed. */
const LAST_WORDS_MS = 300;

/** How long a silence ends the output once the user has no process: another user's may hold the pipe. */
const QUIET_MS = 1000;

/** How many times {@link QUIET_MS} such a process can draw the end out by printing on. */
const QUIET_ROUNDS = 5;

/** How long, and how often, `su` is waited for until it is killed: it ends with its shell. */
const SU_PAUSE_MS = 100;
const SU_ROUNDS = 50;

/** The longest time that a timer of Node takes; a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Runs a command in a login session, which ends early if it is cancelled or oversteps a limit. */
export async function runSession(start: SessionStart): Promise<SessionEnd> {
  const stop = new AbortController();
  const done = new AbortController();
  const end = (reason: Stop): void => stop.abort(reason);
  const cancelled = new Promise<void>((resolve) => {
    const onAbort = (): void => {
      end({ why: 'cancelled' });
      resolve();
    };
    if (start.signal.aborted) onAbort();
    start.signal.addEventListener('abort', onAbort, { signal: done.signal });
  });
  const timer = startTimer(start.limits.timeoutMs, () => end({ why: 'limit', limit: 'timeoutMs' }));
  try {
    const su = launch(start);
    const flow: Flow = { bytes: 0, isWriting: false };
    const copied = copyOutput(start, su, { end, flow }).catch((error: unknown) =>
      end({ why: 'output', error }),
    );
    const exited = exitOf(su);
    await Promise.race([exited, untilAborted(stop.signal)]);
    const stuck = await endAll(su, exited, start.endUser);
    su.stdin?.destroy();
    const lastWords = cancelled.then(() => delay(LAST_WORDS_MS));
    if (stuck === undefined) await Promise.race([copied, lastWords, untilQuiet(flow, done.signal)]);
    su.stdout?.destroy();
    su.stderr?.destroy();
    return {
      ...(stuck === undefined ? await exited : { code: su.exitCode }),
      ...(stop.signal.aborted && { stopped: stop.signal.reason as Stop }),
      ...(stuck !== undefined && { stuck }),
    };
  } finally {
    clearTimeout(timer);
    done.abort();
  }
}

function launch({ args, stdin }: SessionStart): ChildProcess {
  debug('su %o', args);
  const child = spawn('su', args, {
    stdio: [stdin === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    // Whatever the host program has in its environment is none of the command's business.
    env: { PATH: process.env.PATH },
    // A Ctrl-C in a terminal is for the host program, which then decides what becomes of the command.
    detached: true,
  });
  if (stdin && child.stdin) feed(stdin, child.stdin);
  return child;
}

/** A command that reads nothing, or not all, is no failure: the rest of the stream is cancelled. */
function feed(source: ReadableStream<Uint8Array>, sink: Writable): void {
  pipeline(Readable.fromWeb(source as NodeReadableStream), sink, (error) => {
    if (error) debug('standard input ended early: %s', error.message);
  });
}

type SuExit = Pick<SessionEnd, 'code' | 'startError'>;

function exitOf(su: ChildProcess): Promise<SuExit> {
  return new Promise((resolve) => {
    su.on('error', (startError) => resolve({ code: null, startError }));
    su.once('exit', (code) => resolve({ code }));
  });
}

/**
 * Ends everything of the user until `su` has ended, and once more: it runs as root, so it is not among his processes, and
 * may be about to start the first of them.
 */
async function endAll(
  su: ChildProcess,
  exited: Promise<SuExit>,
  endUser: SessionStart['endUser'],
): Promise<string | undefined> {
  let hasExited = false;
  const note = (): void => {
    hasExited = true;
  };
  exited.then(note, note);
  for (let round = 0; ; round += 1) {
    await Promise.race([exited, delay(round === 0 ? 0 : SU_PAUSE_MS)]);
    const wasLast = hasExited;
    const stuck = await endUser();
    if (stuck !== undefined || wasLast) return stuck;
    if (round === SU_ROUNDS) su.kill('SIGKILL');
  }
}

/** How far the copying of the output is. */
interface Flow {
  bytes: number;
  /** Whether the log is being waited for. */
  isWriting: boolean;
}

/**
 * Copies the output as fast as the log takes it. Time in which the log is slow is not the command's silence.
 * The session has joined its two streams; on standard error comes what `su` and the login shell say before.
 */
async function copyOutput(
  { output, limits }: SessionStart,
  { stdout, stderr }: ChildProcess,
  { end, flow }: { readonly end: (reason: Stop) => void; readonly flow: Flow },
): Promise<void> {
  const silence = startTimer(limits.silenceMs, () =>
    flow.isWriting ? silence?.refresh() : end({ why: 'limit', limit: 'silenceMs' }),
  );
  let turn = Promise.resolve();
  const write = (chunk: Uint8Array): Promise<void> => {
    turn = turn.then(async () => {
      flow.isWriting = true;
      await output.write(chunk);
      flow.bytes += chunk.length;
      flow.isWriting = false;
      silence?.refresh();
    });
    return turn;
  };
  try {
    await Promise.all(
      [stdout, stderr].map(async (stream) => {
        for await (const chunk of stream ?? []) await write(chunk);
      }),
    );
  } finally {
    clearTimeout(silence);
  }
}

/** Waits until nothing comes any more, in case a process of another user keeps the output open. */
async function untilQuiet(flow: Flow, done: AbortSignal): Promise<void> {
  let seen = -1;
  for (let rounds = 0; rounds < QUIET_ROUNDS && !done.aborted; ) {
    if (!flow.isWriting && flow.bytes === seen) return;
    seen = flow.bytes;
    await delay(QUIET_MS);
    if (!flow.isWriting) rounds += 1;
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
}

function startTimer(milliseconds: number | undefined, onEnd: () => void): NodeJS.Timeout | undefined {
  return milliseconds === undefined ? undefined : setTimeout(onEnd, Math.min(milliseconds, LONGEST_TIMER_MS));
}
