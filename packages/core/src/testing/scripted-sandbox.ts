import { err, ok, type Result } from 'neverthrow';
import { cancelled, orThrow } from '../backend/failures.ts';
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
  await using places = await mountAll(request);
  using limits = new ClockLimits(clock, request);
  const { signal } = limits;
  const output = limits.listenTo(request.output);
  const io: CommandIo = {
    request: { ...request, output, signal },
    root: places.root,
    volumes: places.volumes,
    mounts: places.mounts,
    sleep: (milliseconds) => sleep(milliseconds, { clock, signal }),
  };
  const exit = await command(io).catch((error: unknown) => {
    if (signal.aborted) return undefined;
    throw error;
  });
  if (request.signal.aborted) return err(cancelled(request.signal));
  return ok(limits.exit ?? (typeof exit === 'object' ? exit : { type: 'exited', code: exit ?? 0 }));
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

async function mountAll(request: RunRequest): Promise<Places> {
  const mounted: Mounted[] = [];
  const place = async (volume: Volume): Promise<HostPath> => {
    const mount = orThrow(await volume.mount());
    mounted.push(mount);
    return mount.path;
  };
  const volumes = new Map<VolumeName, HostPath>();
  for (const [name, volume] of request.volumes) volumes.set(name, await place(volume));
  const mounts = new Map<string, HostPath>();
  for (const { target, volume } of request.mounts) mounts.set(target, await place(volume));
  const [root] = volumes.values();
  if (root === undefined) throw new Error('a step has at least one volume');
  const giveBack = async (): Promise<void> => {
    for (const mount of mounted) await mount[Symbol.asyncDispose]();
  };
  return { root, volumes, mounts, [Symbol.asyncDispose]: giveBack };
}
