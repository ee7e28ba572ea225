import { err, ok, type Result } from 'neverthrow';
import { isDiskFull } from '../backend/disk-full.ts';
import { cancelled, failed, type StoreError } from '../backend/failures.ts';
import type { LogSink } from '../backend/log-sink.ts';
import { type HostPath, type Owner, toVolumeName, type VolumeName } from '../backend/names.ts';
import type { Exit, RunRequest, Sandbox, SandboxError } from '../backend/sandbox.ts';
import type { Mounted, Volume } from '../backend/volume.ts';
import { CommandQueue, type Expectation } from './command-queue.ts';
import { type CommandIo, commandOf, commandText, type ScriptedCommand } from './scripted-command.ts';
import { CLOCK_LIMITS, ClockLimits } from './scripted-limits.ts';
import type { VirtualClock } from './virtual-clock.ts';

export interface ScriptedSandbox extends Sandbox {
  /** The commands that were run, in the order of their start. */
  readonly ran: readonly string[];
  /** @throws Error that lists the expected commands that were never run, and those that were not expected. */
  done(): void;
}

export interface ScriptedSandboxOptions {
  /** Enforces `timeoutMs` and `silenceMs`. Without a clock the sandbox enforces no limit, so builds with one are refused. */
  readonly clock?: VirtualClock;
}

/** Commands by their texts, each of which may run any number of times; or, in an array, all that is to be run, in order. */
export type Script = Readonly<Record<string, ScriptedCommand>> | readonly Expectation[];

/**
 * A sandbox for tests of programs that embed Snapstep: commands are looked up by the text that the spec gives. They may
 * change the step's files, print, fail, or wait for the request's signal.
 *
 * A command that is not in the script, or not the next one, rejects the build. An array is checked by
 * {@link ScriptedSandbox.done}; disposing the sandbox earlier warns of what was never run.
 *
 * A full disk that a command throws (`ENOSPC`), or that keeps a volume from being mounted, is `no-space`.
 */
export function scriptedSandbox(script: Script, { clock }: ScriptedSandboxOptions = {}): ScriptedSandbox {
  const ran: string[] = [];
  const queue = Array.isArray(script) ? new CommandQueue(script) : undefined;
  const rootfs = toVolumeName('rootfs');
  const complaints = (): string => queue?.complaints().join('\n') ?? '';
  return {
    name: 'scripted',
    ran,
    requires: [],
    layout: [rootfs],
    enforces: clock === undefined ? [] : CLOCK_LIMITS,
    concurrency: Number.POSITIVE_INFINITY,
    defaultShell: ['sh', '-c'],
    defaultPath: '/bin:/usr/bin',
    locate: (path) => ({ volume: rootfs, path }),
    account: async (user) => ok('name' in user ? undefined : { ...possibleOwner(user), home: '/' }),
    run: async (request) => {
      if (request.signal.aborted) return err(cancelled(request.signal));
      const command = queue ? commandOf(queue.take(request)) : find(script, commandText(request));
      ran.push(commandText(request));
      return runScripted(command, { request, clock });
    },
    done: () => {
      if (complaints() !== '') throw new Error(complaints());
    },
    [Symbol.asyncDispose]: async () => {
      if (complaints() !== '') process.emitWarning(complaints(), 'ScriptedSandboxWarning');
    },
  };
}

function find(script: Script, text: string): ScriptedCommand {
  const command = (script as Readonly<Record<string, ScriptedCommand>>)[text];
  if (command === undefined) throw new Error(`the script has no command "${text}"`);
  return command;
}

async function runScripted(
  command: ScriptedCommand,
  { request, clock }: { readonly request: RunRequest; readonly clock: VirtualClock | undefined },
): Promise<Result<Exit, SandboxError>> {
  const mounted = await mountAll(request);
  if (mounted.isErr()) return err(mounted.error);
  await using places = mounted.value;
  using limits = new ClockLimits(clock, request);
  const { signal } = limits;
  const output = new WatchedLog(limits.listenTo(request.output));
  const io: CommandIo = {
    request: { ...request, output, signal },
    root: places.root,
    volumes: places.volumes,
    mounts: places.mounts,
    sleep: (milliseconds) => sleep(milliseconds, { clock, signal }),
  };
  const exit = await command(io).catch((error: unknown) => {
    if (signal.aborted) return undefined;
    if (error === output.error || !(error instanceof Error && isDiskFull(error))) throw error;
    return error;
  });
  if (request.signal.aborted) return err(cancelled(request.signal));
  if (exit instanceof Error) return err({ type: 'no-space', message: exit.message });
  return ok(limits.exit ?? (typeof exit === 'object' ? exit : { type: 'exited', code: exit ?? 0 }));
}

/** A log that remembers with what it rejected. */
class WatchedLog implements LogSink {
  error: unknown;
  readonly #log: LogSink;

  constructor(log: LogSink) {
    this.#log = log;
  }

  async write(chunk: Uint8Array | string): Promise<void> {
    try {
      await this.#log.write(chunk);
    } catch (error) {
      this.error = error;
      throw error;
    }
  }
}

async function sleep(
  milliseconds: number,
  { clock, signal }: { readonly clock: VirtualClock | undefined; readonly signal: AbortSignal },
): Promise<void> {
  if (clock) return clock.sleep(milliseconds, signal);
  const { promise, reject } = Promise.withResolvers<never>();
  if (signal.aborted) reject(signal.reason);
  else signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  return promise;
}

/** Only root can give files away: for anybody else, all users of the step's world are the one who runs the test. */
function possibleOwner(owner: Owner): Owner {
  const [uid, gid] = [process.getuid?.() ?? owner.uid, process.getgid?.() ?? owner.gid];
  return uid === 0 ? owner : { uid, gid };
}

interface Places extends AsyncDisposable, Pick<CommandIo, 'root' | 'volumes' | 'mounts'> {}

async function mountAll(request: RunRequest): Promise<Result<Places, SandboxError>> {
  const mounted: Mounted[] = [];
  const giveBack = async (): Promise<void> => {
    for (const mount of mounted) await mount[Symbol.asyncDispose]();
  };
  const mount = async <K>(wanted: Iterable<readonly [K, Volume]>, into: Map<K, HostPath>) => {
    for (const [name, volume] of wanted) {
      const place = await volume.mount();
      if (place.isErr()) return mountFailure(place.error);
      mounted.push(place.value);
      into.set(name, place.value.path);
    }
    return undefined;
  };
  const volumes = new Map<VolumeName, HostPath>();
  const mounts = new Map<string, HostPath>();
  const caches = request.mounts.map(({ target, volume }) => [target, volume] as const);
  const failure = (await mount(request.volumes, volumes)) ?? (await mount(caches, mounts));
  if (failure) {
    await giveBack();
    return err(failure);
  }
  const [root] = volumes.values();
  if (root === undefined) throw new Error('a step has at least one volume');
  return ok({ root, volumes, mounts, [Symbol.asyncDispose]: giveBack });
}

function mountFailure(error: StoreError): SandboxError {
  return error.type === 'not-found' || error.type === 'busy' ? failed(error.message, error) : error;
}
