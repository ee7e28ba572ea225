import type { Cancelled, Failed, NoSpace, Outcome, Stuck } from './failures.ts';
import type { LogSink } from './log-sink.ts';
import type { Owner, VolumeName } from './names.ts';
import type { StoreFeature, StoreFeatures } from './store.ts';
import type { Volume, Volumes } from './volume.ts';

export interface ResourceLimits {
  readonly memoryBytes?: number;
  /** How many processors' worth of time, such as 1.5. */
  readonly cpus?: number;
  /** How many processes and threads at once. */
  readonly pids?: number;
  readonly timeoutMs?: number;
  /** Ends a command that has printed nothing for so long. */
  readonly silenceMs?: number;
}
export type LimitName = keyof ResourceLimits;

/**
 * `no-space` is for what the sandbox itself had no room for: mounting a volume, a mount point in it, its own files. What
 * a command does on a full disk is the command's affair, and shows in how it exits, or does not show at all.
 */
export type SandboxError = NoSpace | Failed | Stuck | Cancelled;

/** How the command ended. A non-zero exit is an answer, not an error. */
export type Exit =
  | { readonly type: 'exited'; readonly code: number }
  /**
   * `signal` is the name with its prefix, such as `SIGKILL`. A sandbox that cannot tell answers as a shell does:
   * `exited` with 128 and the signal's number.
   */
  | { readonly type: 'signalled'; readonly signal: string }
  | { readonly type: 'limit-exceeded'; readonly limit: LimitName };

/** A user of the step's world. */
export interface Account extends Owner {
  /** The home directory, as a path of the step's world. */
  readonly home: string;
}

export interface RunRequest {
  /**
   * The command and its arguments, as they are. Without a slash in its name the command is looked up in the `PATH` of
   * {@link env}, in the step's world. Where it is not there the answer is `exited` with 127, where it cannot be
   * executed 126, and a line in the log names it.
   */
  readonly argv: readonly [string, ...string[]];
  /** Absolute. Made, owned by root and open to all, where it does not exist. */
  readonly cwd: string;
  /** The whole environment of the command: the sandbox adds nothing to it, and no `PATH` either. */
  readonly env: Readonly<Record<string, string>>;
  /** Numbers, which need not be in the step's world. The command has the groups that it gives to them, and no others. */
  readonly user: Owner;
  /** With `none` there is nobody to talk to, the host's own services and abstract sockets included. */
  readonly network: 'none' | 'host';
  readonly limits: ResourceLimits;
  /** The step's file systems, writable. The sandbox mounts them, and unmounts them before it settles. */
  readonly volumes: Volumes;
  readonly mounts: readonly CacheMount[];
  readonly secrets: readonly SecretFile[];
  /** Standard input; without it the command reads the end at once. What the command leaves unread is not waited for. */
  readonly stdin?: ReadableStream<Uint8Array>;
  /**
   * Gets standard output and standard error: every byte as it is, in the order in which the command wrote them, and
   * before `run` settles. One write is waited for before the next, so a slow log slows the command and needs no memory.
   * A write that rejects ends the command, as an abort would; then `run` rejects with the same reason.
   */
  readonly output: LogSink;
  /** Aborting kills every process of the command. The answer is `cancelled`, or the exit where that was first. */
  readonly signal: AbortSignal;
}

/** A cache in the step's world. What lies at the target is hidden, and unharmed. */
export interface CacheMount {
  readonly volume: Volume;
  /** Made for the time of the command where it does not exist. */
  readonly target: string;
  /** Nobody can write to it, root included. */
  readonly readOnly?: boolean;
}

/** A file that only the command's user can read, and nobody can change. Its value is on no disk and no command line. */
export interface SecretFile {
  readonly target: string;
  readonly value: Uint8Array;
}

/**
 * Runs one command where it can do no harm.
 *
 * The builder promises every sandbox:
 * - `target`s are absolute paths of the step's world, and no two of them are equal;
 * - a limit is asked for only if `enforces` names it;
 * - never more than `concurrency` runs at once.
 *
 * Every sandbox promises the builder:
 * - what the command did to the volumes, and nothing else, is in them when `run` settles: neither
 *   mount points nor secrets leave a trace;
 * - no path of a request leads out of the step's world, whatever links lie there;
 * - commands that run at once share nothing but the volumes and caches that they were both given: neither processes
 *   nor secrets, nor, with network `none`, a way to talk;
 * - killing the process that holds the sandbox, and opening another one, leaves nothing of it behind.
 *
 * @typeParam F - The store features it cannot work without; `never` if it needs none.
 */
export interface Sandbox<F extends StoreFeature = never> extends AsyncDisposable {
  readonly name: string;
  readonly requires: readonly F[];
  /** The volumes of a base image on this platform: `['rootfs']`, or `['home', 'brew']`. */
  readonly layout: readonly VolumeName[];
  /** Limits it really enforces. The builder refuses a request for any other. */
  readonly enforces: readonly LimitName[];
  /** How many commands it can run at once: 1 for one macOS user, `Infinity` for containers. */
  readonly concurrency: number;
  /**
   * Which volume a path of the step's world lies in, and where in it; undefined where nothing can be kept.
   * With it `copy` writes into the volumes themselves, without a `tar` in the image and without a container.
   *
   * @param path - Absolute. It is read as text: links are not followed, and `..` takes the name before it away.
   */
  locate(path: string): { readonly volume: VolumeName; readonly path: string } | undefined;
  /** The user of that name or those numbers in the step's world, never the host's; undefined if it has no such name. */
  account(
    user: Owner | { readonly name: string },
    volumes: Volumes,
  ): Outcome<Account | undefined, SandboxError>;
  /** The argv prefix of `(run (shell ...))` where the spec names no shell. */
  readonly defaultShell: readonly [string, ...string[]];
  /** The `PATH` of a command where neither the image nor the spec sets one. */
  readonly defaultPath: string;
  /**
   * Settles only once every process it started is gone and everything it mounted is unmounted,
   * whether the command ended, failed or was aborted; within a bound, or it answers `stuck`. It rejects only where
   * `output` did.
   */
  run(request: RunRequest, features: Pick<StoreFeatures, F>): Outcome<Exit, SandboxError>;
}
