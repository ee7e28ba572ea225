import {
  type CommandFailed,
  type CommandOptions,
  err,
  failed,
  ok,
  type Result,
  runCommand,
  type StoreError,
  type Stuck,
} from '@snapstep/core/backend';
import { Slots } from './slots.ts';

/** ZFS changes one thing after the other anyway: more at once would only be more processes. */
const AT_ONCE = 8;

export interface CommandLimits {
  /** How long a command may take before it counts as stuck. */
  readonly stuckAfterMs: number;
}

/**
 * Runs the commands of one opening of a store. Each runs to its end: a process that is killed inside the kernel may
 * still do what it was about to do.
 *
 * One that has not ended in time is stuck: nothing else is launched until it ends, if it ever does (Z11).
 */
export class Commands {
  readonly #limits: CommandLimits;
  readonly #slots = new Slots(AT_ONCE);
  readonly #running = new Set<Promise<unknown>>();
  #stuck: Stuck | undefined;
  readonly #closing = new AbortController();

  constructor(limits: CommandLimits) {
    this.#limits = limits;
  }

  /** Aborted when the store is being closed. */
  get closing(): AbortSignal {
    return this.#closing.signal;
  }

  /** @returns The standard output. */
  async run(
    command: readonly [file: string, ...args: string[]],
    options: CommandOptions & Partial<CommandLimits> = {},
  ): Promise<Result<string, StoreError>> {
    return this.#slots.run(() => this.#run(command, options));
  }

  async #run(
    [file, ...args]: readonly [file: string, ...args: string[]],
    { stuckAfterMs = this.#limits.stuckAfterMs, ...options }: CommandOptions & Partial<CommandLimits>,
  ): Promise<Result<string, StoreError>> {
    const refusal = this.refusal();
    if (refusal !== undefined) return err(refusal);
    const ended = this.track(runCommand(file, args, options));
    const result = await this.#inTime(ended, { command: [file, ...args], stuckAfterMs });
    if (result.isErr()) return err('exitCode' in result.error ? commandFailure(result.error) : result.error);
    return ok(result.value);
  }

  /** Why nothing may be launched now. */
  refusal(): StoreError | undefined {
    return this.#stuck ?? (this.closing.aborted ? failed('the store is closed') : undefined);
  }

  /** Waits for the end of a process that was killed. One that does not end in time is stuck. */
  async endOf(ended: Promise<unknown>, command: readonly string[]): Promise<Result<void, Stuck>> {
    const { stuckAfterMs } = this.#limits;
    return this.#inTime(
      ended.then(() => ok()),
      { command, stuckAfterMs },
    );
  }

  /** Makes {@link close} wait for what is not run by {@link run}, such as a command with a stream. */
  track<T>(ended: Promise<T>): Promise<T> {
    const settled: Promise<unknown> = ended.catch(() => {}).finally(() => this.#running.delete(settled));
    this.#running.add(settled);
    return ended;
  }

  /** Refuses what comes, and waits for what runs, unless it is stuck. */
  async close(): Promise<void> {
    this.#closing.abort(new Error('the store is closed'));
    while (this.#running.size > 0 && this.#stuck === undefined) await Promise.race(this.#running);
  }

  async #inTime<T, E>(
    ended: Promise<Result<T, E>>,
    { command, stuckAfterMs }: CommandLimits & { readonly command: readonly string[] },
  ): Promise<Result<T, E | Stuck>> {
    const late = Promise.withResolvers<Result<T, Stuck>>();
    const timer = setTimeout(() => late.resolve(err(this.#markStuck(ended, command))), stuckAfterMs);
    try {
      return await Promise.race([ended, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  #markStuck(ended: Promise<unknown>, command: readonly string[]): Stuck {
    const message = `"${command.join(' ')}" does not end: only a reboot may help`;
    const stuck: Stuck = { type: 'stuck', message, needsReboot: true };
    this.#stuck = stuck;
    const forget = () => {
      if (this.#stuck === stuck) this.#stuck = undefined;
    };
    ended.then(forget, forget);
    return stuck;
  }
}

/** What ZFS says by `stderr`, in the words of libzfs. That it failed is told by the exit code alone. */
export function commandFailure(error: CommandFailed): StoreError {
  const { stderr, message } = error;
  if (/out of space|No space left on device|quota exceeded/i.test(stderr))
    return { type: 'no-space', message };
  // What macOS says of a volume in use is `unmount failed`.
  if (/ is busy|dependent clones|unmount failed/.test(stderr)) return { type: 'busy', message };
  if (/ZFS modules are not loaded|\/dev\/zfs/.test(stderr)) {
    return failed(`${message}. Load the kernel module first, such as by "modprobe zfs"`, error);
  }
  if (/[Pp]ermission denied|must be run as root/.test(stderr)) {
    return failed(`${message}. Run as root; ZFS lets nobody else mount`, error);
  }
  return failed(message, error);
}

/** Whether something was cloned from what should have been destroyed. */
export function hasDependents(error: StoreError): boolean {
  return error.type === 'busy' && error.message.includes('dependent clones');
}

export function isMissing(error: StoreError): boolean {
  return error.type === 'failed' && / does not exist|could not find any snapshots/.test(error.message);
}
