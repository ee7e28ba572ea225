import { randomUUID } from 'node:crypto';
import { err, ok, type Result, ResultAsync } from 'neverthrow';
import { cancelled, type StoreError } from '../backend/failures.ts';
import type { PinnedImage } from '../backend/fetcher.ts';
import type { CacheId, StepKey } from '../backend/names.ts';
import type { OwnerLock } from '../backend/owner-lock.ts';
import type { StoreFeatures } from '../backend/store.ts';
import { type PrunePolicy, prune, removeWithDescendants } from '../cache/prune.ts';
import type { SavedStep } from '../cache/saved-step.ts';
import type { StepLog } from '../log/step-log.ts';
import type { Explanation } from '../plan/explain.ts';
import { takeTurn } from '../plan/pacer.ts';
import type { Spec } from '../spec/spec.ts';
import { makeBaseImage } from './base-images.ts';
import { runBuild } from './build-run.ts';
import type {
  BaseImageError,
  BaseImages,
  BuildError,
  Builder,
  BuilderUsage,
  BuildRequest,
  LeasedSnapshot,
  PlannedStep,
  Pruned,
  RemovedSteps,
} from './builder.ts';
import { checkRequest } from './check-request.ts';
import type { Engine } from './engine.ts';
import { fromStore, machineFailure } from './errors.ts';
import { explain } from './explain-step.ts';
import { knownKeys } from './known-keys.ts';
import { savedOf } from './make-room.ts';
import { planBuild } from './plan-build.ts';
import { stepLimits } from './step-limits.ts';
import type { InnerRequest } from './step-to-make.ts';
import { logUsage, sweepLeftovers } from './sweep-leftovers.ts';

/** The {@link Builder} that `openBuilder` gives. */
export class SnapstepBuilder implements Builder {
  readonly #engine: Engine;
  readonly #lock: OwnerLock;
  readonly #closing = new AbortController();
  readonly #running = new Set<Promise<unknown>>();
  #closed: Promise<void> | undefined;
  readonly caches: Builder['caches'];
  readonly baseImages: BaseImages | undefined;

  constructor(engine: Engine, lock: OwnerLock) {
    this.#engine = engine;
    this.#lock = lock;
    this.caches = {
      list: () => this.#ask<readonly CacheId[]>(async () => engine.store.caches.list()),
      remove: (id) => this.#ask<void>(() => engine.caches.remove(id)),
    };
    this.baseImages = engine.store.baseImages && this.#baseImages(engine.store.baseImages);
  }

  build(request: BuildRequest): ResultAsync<LeasedSnapshot, BuildError> {
    return this.#build(request);
  }

  plan(request: BuildRequest): ResultAsync<readonly PlannedStep[], BuildError> {
    return this.#track(async () => {
      await takeTurn();
      const checked = checkRequest(this.#engine, request);
      if (checked.isErr()) return err(checked.error);
      return planBuild(this.#engine, this.#withClosing(this.#withLimits(request)));
    }, fromStore);
  }

  explain(key: StepKey): ResultAsync<Explanation, StoreError> {
    return this.#ask(() => explain(this.#engine, key));
  }

  log(key: StepKey): ResultAsync<StepLog | undefined, StoreError> {
    return this.#ask(() => this.#engine.logs.find(key));
  }

  keys(prefix: string): ResultAsync<readonly StepKey[], StoreError> {
    return this.#ask(() => knownKeys(this.#engine, prefix));
  }

  list(): ResultAsync<readonly SavedStep[], StoreError> {
    return this.#ask(async () => ok(this.#engine.index.list()));
  }

  open(key: StepKey): ResultAsync<LeasedSnapshot, StoreError> {
    return this.#ask(() => this.#open(key));
  }

  remove(key: StepKey, signal?: AbortSignal): ResultAsync<RemovedSteps, StoreError> {
    return this.#ask(async () => {
      if (!this.#engine.index.has(key)) return err(notSaved(key));
      const removed = await removeWithDescendants(savedOf(this.#engine), key, this.#orClosing(signal));
      return removed.map((keys) => ({ removed: keys }));
    });
  }

  prune(policy: PrunePolicy, signal?: AbortSignal): ResultAsync<Pruned, StoreError> {
    return this.#ask(async () => {
      const removed = await prune(savedOf(this.#engine), policy, this.#orClosing(signal));
      const logBytes = await sweepLeftovers(this.#engine, { before: uselessBefore(policy) });
      return removed.map((keys) => ({ removed: keys, logBytes }));
    });
  }

  usage(): ResultAsync<BuilderUsage, StoreError> {
    return this.#ask<BuilderUsage>(async () => {
      const usage = await this.#engine.store.usage();
      if (usage.isErr()) return err(usage.error);
      return ok([...usage.value, ...(await logUsage(this.#engine))]);
    });
  }

  healthcheck(image: string, signal?: AbortSignal): ResultAsync<void, BuildError> {
    return this.#track<void, BuildError>(async () => {
      const request = { spec: healthSpec(image), skipsQueue: true, ...(signal ? { signal } : {}) };
      const built = await this.#build(request);
      if (built.isErr()) return err(built.error);
      const { key } = built.value;
      await built.value[Symbol.asyncDispose]();
      const removed = await removeWithDescendants(savedOf(this.#engine), key, signal);
      return removed.isErr() ? err(fromStore(removed.error)) : ok();
    }, fromStore);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    this.#closing.abort(new Error('the builder was closed'));
    await this.#engine.steps.stopAll(this.#closing.signal.reason);
    await Promise.allSettled(this.#running);
    await this.#engine.durability[Symbol.asyncDispose]();
    try {
      this.#engine.hashes[Symbol.dispose]();
      this.#engine.index[Symbol.dispose]();
    } finally {
      await this.#lock[Symbol.asyncDispose]();
    }
  }

  #build(request: InnerRequest): ResultAsync<LeasedSnapshot, BuildError> {
    return this.#track(async () => {
      await takeTurn();
      const checked = checkRequest(this.#engine, request);
      if (checked.isErr()) return err(checked.error);
      const built = await runBuild(this.#engine, this.#withClosing(this.#withLimits(request)));
      if (built.isErr() && this.#engine.failedLogs.isSweepDue) await sweepLeftovers(this.#engine);
      return built;
    }, fromStore);
  }

  #withLimits<R extends BuildRequest>(request: R): R {
    return { ...request, limits: stepLimits(this.#engine.limits, request.limits) };
  }

  #baseImages(images: StoreFeatures['baseImages']): BaseImages {
    return {
      list: () => this.#ask<readonly PinnedImage[]>(async () => images.list()),
      make: (request) =>
        this.#track<PinnedImage, BaseImageError>(
          () => makeBaseImage(this.#engine, images, this.#withClosing(request)),
          fromStore,
        ),
      remove: (name) => this.#ask<void>(async () => images.remove(name)),
      send: (name, signal) =>
        this.#ask<ReadableStream<Uint8Array>>(async () => images.send(name, this.#orClosing(signal))),
      receive: (name, body, signal) =>
        this.#ask<PinnedImage>(async () => images.receive(name, body, this.#orClosing(signal))),
    };
  }

  async #open(key: StepKey): Promise<Result<LeasedSnapshot, StoreError>> {
    const { index, leases, store } = this.#engine;
    if (!index.isSaved(key)) return err(notSaved(key));
    using held = leases.take(key);
    const snapshot = await store.lookup(held.key);
    if (snapshot.isErr()) return err(snapshot.error);
    if (snapshot.value === undefined) return err(notSaved(key));
    index.touch([key]);
    const lease = leases.take(key);
    return ok({
      key,
      snapshot: snapshot.value,
      [Symbol.asyncDispose]: async () => lease[Symbol.dispose](),
    });
  }

  #withClosing<R extends { readonly signal?: AbortSignal }>(
    request: R,
  ): R & { readonly signal: AbortSignal } {
    return { ...request, signal: this.#orClosing(request.signal) };
  }

  #orClosing(signal: AbortSignal | undefined): AbortSignal {
    const closing = this.#closing.signal;
    return signal ? AbortSignal.any([signal, closing]) : closing;
  }

  /** A call whose failures are those of the store. */
  #ask<T>(work: () => Promise<Result<T, StoreError>>): ResultAsync<T, StoreError> {
    return this.#track(work, (error) => error);
  }

  /**
   * Where every call comes in. What system calls and SQLite throw becomes a failure, and after the end so does every call;
   * only a bug is thrown on. Disposing the builder waits for all that is going on.
   *
   * @param toError - How a call tells the failure of the machine.
   */
  #track<T, E>(work: () => Promise<Result<T, E>>, toError: (error: StoreError) => E): ResultAsync<T, E> {
    const running = this.#guarded(work, toError);
    this.#running.add(running);
    const done = (): void => void this.#running.delete(running);
    running.then(done, done);
    return new ResultAsync(running);
  }

  async #guarded<T, E>(
    work: () => Promise<Result<T, E>>,
    toError: (error: StoreError) => E,
  ): Promise<Result<T, E>> {
    const closing = this.#closing.signal;
    if (closing.aborted) return err(toError(cancelled(closing)));
    try {
      return await work();
    } catch (error) {
      const failure = error === closing.reason ? cancelled(closing) : machineFailure(error);
      if (failure === undefined) throw error;
      return err(toError(failure));
    }
  }
}

/** Without a condition all that is not in use goes, what failed as well. */
function uselessBefore({ unusedSince, keepFreeBytes, maxObjects, limit }: PrunePolicy): number {
  if (unusedSince !== undefined) return unusedSince.getTime();
  const takesAll = keepFreeBytes === undefined && maxObjects === undefined && limit === undefined;
  return takesAll ? Number.POSITIVE_INFINITY : 0;
}

function notSaved(key: StepKey): StoreError {
  return { type: 'not-found', key, message: `there is no saved step ${key}` };
}

/** Its environment is new each time, so that it is never in the cache. */
function healthSpec(image: string): Spec {
  return {
    stages: [],
    from: image,
    ops: [
      { op: 'env', name: 'SNAPSTEP_HEALTHCHECK', value: randomUUID() },
      { op: 'shell', argv: ['/bin/sh', '-c'] },
      { op: 'run', command: 'echo healthy', network: [], caches: [], secrets: [] },
    ],
  };
}
