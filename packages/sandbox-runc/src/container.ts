import { type ChildProcess, spawn } from 'node:child_process';
import { pipeline, Readable, type Writable } from 'node:stream';
import type { ReadableStream as NodeReadableStream } from 'node:stream/web';
import { setTimeout as delay, setImmediate as poll } from 'node:timers/promises';
import type { LimitName, LogSink, ResourceLimits } from '@snapstep/core/backend';
import createDebug from 'debug';
import type { ContainerCgroups } from './cgroups.ts';
import type { OutputPipe } from './output-pipe.ts';

const debug = createDebug('snapstep:container');

export interface ContainerStart {
  readonly command: readonly [string, ...string[]];
  /** Where the runtime may put a file; it leaves one there if it is killed early. */
  readonly scratch: string;
  readonly cgroups: ContainerCgroups;
  readonly pipe: OutputPipe;
  /** Without a stream, standard input is this empty file. */
  readonly stdin: { readonly fd: number } | ReadableStream<Uint8Array>;
  readonly output: LogSink;
  readonly limits: ResourceLimits;
  readonly signal: AbortSignal;
}

/** How a container came to its end. Nothing of it runs any more, except for `survivors`. */
export interface ContainerEnd {
  /** The runtime's own exit; both are null if it could not be started, and `startError` says why. */
  readonly code: number | null;
  readonly killedBy: NodeJS.Signals | null;
  readonly startError?: Error;
  /** Why we ended it, if we did. */
  readonly stopped?: Stop;
  readonly survivors: readonly number[];
  /** The output, if it was short. */
  readonly brief?: string;
}

type Stop =
  | { readonly why: 'cancelled' }
  | { readonly why: 'limit'; readonly limit: LimitName }
  /** The log rejected. */
  | { readonly why: 'output'; readonly error: unknown }
  /** What the command prints cannot be read. */
  | { readonly why: 'pipe'; readonly error: unknown };

/** How long what was killed may take to be gone. */
export const TEARDOWN_MS = 10_000;

/** How long a cancelled step may take to hand over what it has printed. */
const LAST_WORDS_MS = 300;

/** How long a silence ends the output once no process is left. A busy machine may not get to it sooner. */
const QUIET_MS = 1000;

/** What may still come when no process is left: a pipe of the kernel's largest size, and as much from elsewhere. */
const LAST_WORDS_BYTES = 2 * 1024 * 1024;

/** How many times {@link QUIET_MS} a process elsewhere can draw the end out by printing on. */
const LAST_WORDS_ROUNDS = 5;

/** As much output as a runtime's last message may have. */
const BRIEF_BYTES = 4096;

/** The longest time that a timer of Node takes; a longer one would fire at once. */
const LONGEST_TIMER_MS = 2 ** 31 - 1;

/** Runs a container to its end, which comes early if it is cancelled or oversteps a time limit. */
export async function runContainer(start: ContainerStart): Promise<ContainerEnd> {
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
    const runtime = launch(start);
    const exited = exitOf(runtime, stop.signal);
    start.pipe.closeWriter();
    const flow: Flow = { bytes: 0, isWriting: false, brief: [] };
    const copied = copyOutput(start, end, flow).catch((error: unknown) => end({ why: 'pipe', error }));
    const exit = await exited;
    const left = await start.cgroups.kill(performance.now() + TEARDOWN_MS);
    const survivors = [...exit.survivors, ...left];
    const lastWords = cancelled.then(() => delay(LAST_WORDS_MS));
    if (survivors.length === 0) await Promise.race([copied, lastWords, untilQuiet(flow, done.signal)]);
    const text = flow.bytes > BRIEF_BYTES ? {} : { brief: Buffer.concat(flow.brief).toString() };
    return {
      ...exit,
      ...text,
      ...(stop.signal.aborted && { stopped: stop.signal.reason as Stop }),
      survivors,
    };
  } finally {
    clearTimeout(timer);
    done.abort();
  }
}

function launch({ command, scratch, pipe, stdin }: ContainerStart): ChildProcess {
  const [file, ...args] = command;
  debug('%s %o', file, args);
  const input = stdin instanceof ReadableStream ? 'pipe' : stdin.fd;
  const child = spawn(file, args, {
    stdio: [input, pipe.writer, pipe.writer],
    // Whatever the host program has in its environment is none of the runtime's business.
    env: {
      PATH: process.env.PATH ?? '/usr/sbin:/usr/bin:/sbin:/bin',
      LC_ALL: 'C',
      // crun starts from a copy of itself, which it would make in /tmp.
      _LIBCONTAINER_STATEDIR: scratch,
    },
    // A Ctrl-C in a terminal is for the host program, which then decides what becomes of the container.
    detached: true,
  });
  if (stdin instanceof ReadableStream && child.stdin) feed(stdin, child.stdin);
  return child;
}

/** A command that reads nothing, or not all, is no failure: the rest of the stream is cancelled. */
function feed(source: ReadableStream<Uint8Array>, sink: Writable): void {
  pipeline(Readable.fromWeb(source as NodeReadableStream), sink, (error) => {
    if (error) debug('standard input ended early: %s', error.message);
  });
}

type RuntimeExit = Pick<ContainerEnd, 'code' | 'killedBy' | 'startError' | 'survivors'>;

/** Waits for the runtime, which `stop` kills. What it leaves behind is the cgroups' matter. */
function exitOf(runtime: ChildProcess, stop: AbortSignal): Promise<RuntimeExit> {
  return new Promise((resolve) => {
    let bound: NodeJS.Timeout | undefined;
    const settle = (exit: Partial<RuntimeExit>): void => {
      clearTimeout(bound);
      stop.removeEventListener('abort', kill);
      runtime.stdin?.destroy();
      resolve({ code: null, killedBy: null, survivors: [], ...exit });
    };
    const kill = (): void => {
      runtime.kill('SIGKILL');
      bound = setTimeout(() => settle({ survivors: runtime.pid ? [runtime.pid] : [] }), TEARDOWN_MS);
    };
    runtime.on('error', (startError) => settle({ startError }));
    runtime.once('exit', (code, killedBy) => settle({ code, killedBy }));
    stop.addEventListener('abort', kill);
    if (stop.aborted) kill();
  });
}

/** How far the copying of the output is. */
interface Flow {
  bytes: number;
  /** Whether the log is being waited for. */
  isWriting: boolean;
  /** The beginning of the output. */
  readonly brief: Uint8Array[];
}

/** Copies the output as fast as the log takes it. Time in which the log is slow is not the command's silence. */
async function copyOutput(
  { pipe, output, limits }: ContainerStart,
  end: (reason: Stop) => void,
  flow: Flow,
): Promise<void> {
  const silence = startTimer(limits.silenceMs, () =>
    flow.isWriting ? silence?.refresh() : end({ why: 'limit', limit: 'silenceMs' }),
  );
  try {
    for await (const chunk of pipe.reader) {
      flow.isWriting = true;
      if (flow.bytes <= BRIEF_BYTES) flow.brief.push(chunk);
      flow.bytes += chunk.length;
      try {
        await output.write(chunk);
      } catch (error) {
        return end({ why: 'output', error });
      }
      flow.isWriting = false;
      silence?.refresh();
    }
  } finally {
    clearTimeout(silence);
  }
}

/**
 * Waits until nothing comes any more. Where no process of the container is left, the pipe is at its end once it is
 * read, unless the command has handed it to a process elsewhere, which on the host's network it can.
 */
async function untilQuiet(flow: Flow, done: AbortSignal): Promise<void> {
  const atEnd = flow.bytes;
  let seen = -1;
  for (let rounds = 0; rounds < LAST_WORDS_ROUNDS && flow.bytes - atEnd < LAST_WORDS_BYTES; ) {
    if (done.aborted || (!flow.isWriting && flow.bytes === seen)) return;
    seen = flow.bytes;
    await delay(QUIET_MS);
    // On a busy machine the time may be up before what is there was looked at.
    await poll();
    if (!flow.isWriting) rounds += 1;
  }
}

function startTimer(milliseconds: number | undefined, onEnd: () => void): NodeJS.Timeout | undefined {
  return milliseconds === undefined ? undefined : setTimeout(onEnd, Math.min(milliseconds, LONGEST_TIMER_MS));
}
