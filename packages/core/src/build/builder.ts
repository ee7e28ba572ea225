import type { ResultAsync } from 'neverthrow';
import type { Cancelled, StoreError } from '../backend/failures.ts';
import type { FetchError, PinnedImage, PullPolicy } from '../backend/fetcher.ts';
import type { LogSink } from '../backend/log-sink.ts';
import type { CacheId, HostPath, StepKey } from '../backend/names.ts';
import type { Exit, LimitName, ResourceLimits, SandboxError } from '../backend/sandbox.ts';
import type { Snapshot, UsageAxis } from '../backend/store.ts';
import type { PrunePolicy } from '../cache/prune.ts';
import type { SavedStep } from '../cache/saved-step.ts';
import type { StepLog } from '../log/step-log.ts';
import type { Explanation } from '../plan/explain.ts';
import type { IgnoreFile } from '../plan/ignore-files.ts';
import type { CopyOp, RunOp, Spec, UserRef } from '../spec/spec.ts';

/** An op that makes a snapshot, as events and errors name it. */
export type StepOp = { readonly op: 'base'; readonly image: string } | RunOp | CopyOp;

/** What a builder answers to `(network host)`: `refuse` is an error before anything runs. */
export type HostNetwork = 'allow' | 'refuse';

/** How a step ended that failed: its command exited, or something went beyond a limit of the build. */
export type StepExit = Exit | { readonly type: 'limit-exceeded'; readonly limit: 'diskBytes' };

export type BuildError =
  /** Line and column, from 1, are there where the spec came from text. */
  | {
      readonly type: 'invalid-spec';
      readonly message: string;
      readonly line?: number;
      readonly column?: number;
    }
  | { readonly type: 'invalid-context'; readonly path: string; readonly message: string }
  | { readonly type: 'missing-secret'; readonly id: string; readonly message: string }
  | {
      readonly type: 'step-failed';
      readonly key: StepKey;
      readonly stage: string;
      readonly op: StepOp;
      readonly exit: StepExit;
      readonly message: string;
    }
  /** A limit was asked for that this sandbox or store cannot enforce. Nothing was run. */
  | {
      readonly type: 'unenforceable-limit';
      readonly limit: LimitName | 'diskBytes';
      readonly message: string;
    }
  /** A `run` asks for the host's network, which this builder refuses to specs. Nothing was run. */
  | {
      readonly type: 'refused-network';
      readonly op: RunOp;
      /** Its place in the spec, such as `stages[0].spec.ops[2]`; `placeInSpec` tells where that is in the text. */
      readonly path: string;
      readonly message: string;
    }
  | { readonly type: 'store'; readonly error: Exclude<StoreError, Cancelled>; readonly message: string }
  | { readonly type: 'sandbox'; readonly error: Exclude<SandboxError, Cancelled>; readonly message: string }
  | { readonly type: 'fetch'; readonly error: Exclude<FetchError, Cancelled>; readonly message: string }
  | Cancelled;

/** Where a step's result came from: `joined` is another build's run of the same step, still going on. */
export type StepSource = 'ran' | 'joined' | 'cache';

/** A step of a build, as the events of its beginning name it. */
export interface StepPlace {
  readonly key: StepKey;
  readonly stage: string;
  readonly op: StepOp;
  /** The step's place in its stage, from 1; the base image is the first. */
  readonly number: number;
}

/**
 * The events of one stage come in order; those of stages that run at the same time are mixed. A step that is stopped, or fails,
 * before it was queued has no event but `step-failed`. Of a build that is aborted, a slow listener may hear events that were on
 * their way when the build had settled.
 */
export type BuildEvent = BuildNews & {
  /** When it happened, which a slow listener hears later. */
  readonly at: Date;
};

/** What an event says. */
export type BuildNews =
  | { readonly type: 'stage-started'; readonly stage: string; readonly steps: number }
  /** A step that is not saved waits for its turn: for a slot of the builder, and its command for a place in the sandbox. */
  | ({ readonly type: 'step-queued'; readonly source: Exclude<StepSource, 'cache'> } & StepPlace)
  /** It has its turn, or has had it where another build runs it; a step that is saved comes without a turn. */
  | ({ readonly type: 'step-started'; readonly source: StepSource } & StepPlace)
  /**
   * What the step prints, in order: every byte for a listener that keeps up, also of a step whose log is beyond its limit;
   * see `StepLog.watch`. The saved log of a cached step is replayed unless `replayLogs` is false.
   */
  | {
      readonly type: 'step-output';
      readonly key: StepKey;
      readonly stage: string;
      readonly chunk: Uint8Array;
    }
  | {
      readonly type: 'step-done';
      readonly key: StepKey;
      readonly stage: string;
      readonly source: StepSource;
      /** From `step-started` to the end. A saved step takes none. */
      readonly milliseconds: number;
      /** From `step-queued` to `step-started`. */
      readonly waitedMilliseconds: number;
    }
  | {
      readonly type: 'step-failed';
      readonly key: StepKey;
      readonly stage: string;
      readonly error: BuildError;
    }
  | { readonly type: 'note'; readonly text: string };

/** A secret's value, and a version that goes into the step key: raise it to run the steps that use it again. */
export type SecretValue = Uint8Array | { readonly value: Uint8Array; readonly version: string };

/**
 * What each step of a build may use. Nothing of it is in a key. What is absent is as the builder has it, and `Infinity`
 * is no limit. `timeoutMs` is also how long a `copy` may take, and a base
 * image that is fetched.
 */
export interface BuildLimits extends ResourceLimits {
  /**
   * How many bytes of what a step prints are kept: the beginning and the end, half of it each. Default: the builder's.
   * A step that several builds share has the limit of the build that started it.
   */
  readonly logBytes?: number;
}

export interface BuildRequest {
  readonly spec: Spec;
  /** The directory that `(copy (src ...))` reads. Without it, a spec that copies from the context is refused. */
  readonly context?: HostPath;
  /**
   * Files in the context that say what of it is left out, as Docker and git read them: the `.dockerignore` in its root,
   * and every `.gitignore`. One that is not there leaves out nothing. They are for copies from the context only, and
   * change a key only by what is left. Default: none is read.
   */
  readonly ignoreFiles?: readonly IgnoreFile[];
  readonly secrets?: ReadonlyMap<string, SecretValue>;
  readonly limits?: BuildLimits;
  /**
   * How much each step may write. Needs the store feature `quota`, and is refused without it. A step that writes more is
   * `step-failed`, and what another build that runs the same step may write is no limit for this one.
   */
  readonly diskBytes?: number;
  /** What may be asked of the network about base images. Default: `auto`, which a build that is saved whole does not need. */
  readonly pull?: PullPolicy;
  /** Whether the logs of cached steps come as events too. Default: true. */
  readonly replayLogs?: boolean;
  /** Stops this build. A step that another build waits for goes on. */
  readonly signal?: AbortSignal;
  /** Awaited before the next event, so a slow listener holds up only itself. If it throws, its build is cancelled. */
  readonly onEvent?: (event: BuildEvent) => void | Promise<void>;
}

/** A saved snapshot in use. It cannot be pruned until it is disposed. */
export interface LeasedSnapshot extends AsyncDisposable {
  readonly key: StepKey;
  readonly snapshot: Snapshot;
}

export interface PlannedStep {
  readonly stage: string;
  readonly op: StepOp;
  /** Undefined where it depends on files that a stage has yet to make. */
  readonly key: StepKey | undefined;
  readonly saved: boolean;
}

export interface RemovedSteps {
  readonly removed: readonly StepKey[];
}

export interface Pruned extends RemovedSteps {
  /** How many bytes of logs of steps that are not saved went as well. */
  readonly logBytes: number;
}

/** What the store uses, and what logs take beside it. */
export interface BuilderUsageAxis extends Omit<UsageAxis, 'axis'> {
  /** `failed-log-bytes` are those of steps that are not saved; its total is how much of them is kept. */
  readonly axis: UsageAxis['axis'] | 'log-bytes' | 'failed-log-bytes';
}
export type BuilderUsage = readonly BuilderUsageAxis[];

/** How to make a base image that the store itself holds. */
export interface BaseImageRequest {
  /** What `(from NAME)` finds from then on. */
  readonly name: string;
  /** Run in the new volumes, with the host's network, as `(run (shell ...))` would run it. */
  readonly command: string;
  /** What the command is given to. Default: the sandbox's own shell. */
  readonly shell?: readonly [string, ...string[]];
  /** Who runs it, in its home directory. Fresh volumes are given to this user. Default: root. */
  readonly user?: UserRef;
  readonly env?: Readonly<Record<string, string>>;
  /** An image of the fetcher to start from: where a step's world is only its volumes, a shell must come from somewhere. */
  readonly from?: string;
  /** What may be asked of the network about `from`. Default: `auto`. */
  readonly pull?: PullPolicy;
  /** Gets what the command prints, while it prints it, and what there is to say about `from`. */
  readonly output: LogSink;
  readonly signal?: AbortSignal;
}

export type BaseImageError =
  | { readonly type: 'command-failed'; readonly exit: Exit; readonly message: string }
  | { readonly type: 'unknown-user'; readonly message: string }
  | Extract<BuildError, { readonly type: 'store' | 'sandbox' | 'fetch' | 'cancelled' }>;

/** The base images of a store that holds its own. Builds that are going on keep what they started from. */
export interface BaseImages {
  list(): ResultAsync<readonly PinnedImage[], StoreError>;
  /**
   * Makes an image, or makes the one of that name anew: its digest is another each time, so what is built from it is
   * built again. A command that fails, or is stopped, leaves the name as it was.
   */
  make(request: BaseImageRequest): ResultAsync<PinnedImage, BaseImageError>;
  /** Removing what is not there succeeds; `busy` while a step was made from it. */
  remove(name: string): ResultAsync<void, StoreError>;
  /** The image as a stream for {@link receive} of a store of the same kind. */
  send(name: string, signal?: AbortSignal): ResultAsync<ReadableStream<Uint8Array>, StoreError>;
  /** Puts in, or replaces, an image that another store sent; its digest stays the same. */
  receive(
    name: string,
    body: ReadableStream<Uint8Array>,
    signal?: AbortSignal,
  ): ResultAsync<PinnedImage, StoreError>;
}

export interface Builder extends AsyncDisposable {
  build(request: BuildRequest): ResultAsync<LeasedSnapshot, BuildError>;
  /** What each step's key would be and whether it is saved, without running anything. The listener hears notes only. */
  plan(request: BuildRequest): ResultAsync<readonly PlannedStep[], BuildError>;
  /** The inputs behind a key, and how they differ from those of the nearest saved step. `not-found` if it knows neither. */
  explain(key: StepKey): ResultAsync<Explanation, StoreError>;
  /** The log of a step that runs, is saved, or failed; undefined where there is none. */
  log(key: StepKey): ResultAsync<StepLog | undefined, StoreError>;
  /** The keys that begin with `prefix`, in order, of all steps that are known: saved, running or failed. */
  keys(prefix: string): ResultAsync<readonly StepKey[], StoreError>;
  /** Every saved step, the least recently used first. */
  list(): ResultAsync<readonly SavedStep[], StoreError>;
  /** Leases a saved snapshot; `not-found` if there is none. */
  open(key: StepKey): ResultAsync<LeasedSnapshot, StoreError>;
  /** Deletes a step and all that was built on it. `busy` if one of them is in use; then nothing is deleted. */
  remove(key: StepKey, signal?: AbortSignal): ResultAsync<RemovedSteps, StoreError>;
  /**
   * Removes what the policy lets go, and logs of steps that are not saved: those that were written before `unusedSince`,
   * what is beyond `keepFailedLogs`, and all of them where the policy lets all go. A step that runs keeps its own.
   */
  prune(policy: PrunePolicy, signal?: AbortSignal): ResultAsync<Pruned, StoreError>;
  usage(): ResultAsync<BuilderUsage, StoreError>;
  readonly caches: {
    list(): ResultAsync<readonly CacheId[], StoreError>;
    /** Running steps keep their copies, which are discarded when they end. */
    remove(id: CacheId): ResultAsync<void, StoreError>;
  };
  /** Undefined where the store holds no base images of its own. */
  readonly baseImages: BaseImages | undefined;
  /** Builds a tiny spec for real on `image`, never from the cache. Does not wait for a build slot. */
  healthcheck(image: string, signal?: AbortSignal): ResultAsync<void, BuildError>;
}
