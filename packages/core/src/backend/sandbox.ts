import type { Cancelled, Failed, Outcome, Stuck } from './failures.ts';
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

export type SandboxError = Failed | Stuck | Cancelled;

/** How the command ended. A non-zero exit is an answer, not an error. */
export type Exit =
  | { readonly type: 'exited'; readonly code: number }
  /** `signal` is the name with its prefix, such as `SIGKILL`. */
  | { readonly type: 'signalled'; readonly signal: string }
  | { readonly type: 'limit-exceeded'; readonly limit: LimitName };

/** A user of the step's world. */
export interface Account extends Owner {
  /** The home directory, as a path of the step's world. */
  readonly home: string;
}

export interface RunRequest {
  readonly argv: readonly [string, ...string[]];
  /** Absolute. Made, owned by root, where it does not exist. */
  readonly cwd: string;
  /** The whole environment of the command: the sandbox adds nothing to it. */
  readonly env: Readonly<Record<string, string>>;
  readonly user: Owner;
  readonly network: 'none' | 'host';
  readonly limits: ResourceLimits;
  /** The step's file systems, writable. The sandbox mounts them, and unmounts them before it settles. */
  readonly volumes: Volumes;
  readonly mounts: readonly CacheMount[];
  readonly secrets: readonly SecretFile[];
  readonly stdin?: ReadableStream<Uint8Array>;
  /** Gets standard output and standard error, in the order in which the command wrote them. */
  readonly output: LogSink;
  /** Aborting kills every process of the sandbox. */
  readonly signal: AbortSignal;
}

export interface CacheMount {
  readonly volume: Volume;
  readonly target: string;
  readonly readOnly?: boolean;
}

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
   */
  locate(path: string): { readonly volume: VolumeName; readonly path: string } | undefined;
  /** The user of that name or those numbers in the step's world; undefined if it has no such name. */
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
   * whether the command ended, failed or was aborted; within a bound, or it answers `stuck`.
   */
  run(request: RunRequest, features: Pick<StoreFeatures, F>): Outcome<Exit, SandboxError>;
}
