import { err, ok, type Result } from 'neverthrow';
import { cancelled } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type { Lease } from '../cache/leases.ts';
import { planStages, type StagePlan } from '../plan/stages.ts';
import type { BuildError, LeasedSnapshot, StepPlace } from './builder.ts';
import { manifestOfCopy } from './copy-step.ts';
import type { Engine } from './engine.ts';
import { catchThrown, fromStore, isOwnersFault, lost } from './errors.ts';
import { EventQueue } from './event-queue.ts';
import { type KeyedStep, StepKeys } from './step-keys.ts';
import { StepReporter } from './step-reporter.ts';
import {
  type InnerRequest,
  type Obtainable,
  obtainableBase,
  obtainableStep,
  openStep,
  type StandingStep,
} from './step-to-make.ts';

/** How often a build starts again because something it had counted on was gone from the store. */
const RESTARTS = 3;

/** What a build asks for, with the signal that every build has: closing the builder stops it. */
type RunRequest = InnerRequest & { readonly signal: AbortSignal };

type KnownStep = KeyedStep & { readonly key: StepKey };

/** Builds a spec whose request was checked. Settles when nothing of it is running any more. */
export async function runBuild(
  engine: Engine,
  request: RunRequest,
): Promise<Result<LeasedSnapshot, BuildError>> {
  const stop = new AbortController();
  const signal = AbortSignal.any([request.signal, stop.signal]);
  const events = new EventQueue(request.onEvent, {
    onBug: (bug) => stop.abort(bug),
    ...{ signal, clock: engine.clock },
  });
  for (let restarts = 0; ; restarts += 1) {
    using run = new BuildRun(engine, { ...request, signal }, events);
    const result = await run.result();
    if (result.isOk() || restarts === RESTARTS) return result;
    const why = await run.forgetLost(result.error);
    if (why === undefined) return result;
    await events.emit({ type: 'note', text: `${why}; building it again` });
  }
}

/** One try at one build. Disposing it gives its leases back. */
class BuildRun implements Disposable {
  readonly #engine: Engine;
  readonly #request: InnerRequest;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #keys: StepKeys;
  readonly #events: EventQueue;
  readonly #reporter: StepReporter;
  readonly #stages = new Map<StagePlan, Promise<Result<StepKey, BuildError>>>();
  readonly #leases = new Set<Lease>();
  #failure: BuildError | undefined;
  /** What was thrown by mistake: it stops all stages, and is thrown on when they are quiet. */
  #bug: { readonly bug: unknown } | undefined;

  constructor(engine: Engine, request: RunRequest, events: EventQueue) {
    this.#engine = engine;
    this.#request = request;
    this.#events = events;
    this.#signal = AbortSignal.any([request.signal, this.#abort.signal]);
    this.#reporter = new StepReporter(events, {
      logs: engine.logs,
      replays: request.replayLogs ?? true,
      clock: engine.clock,
      signal: this.#signal,
    });
    this.#keys = new StepKeys(engine, {
      context: request.context,
      ignoreFiles: request.ignoreFiles ?? [],
      secrets: request.secrets ?? new Map(),
      timeoutMs: request.limits?.timeoutMs,
      signal: this.#signal,
      pinning: { pull: request.pull ?? 'auto', note: (text) => events.emit({ type: 'note', text }) },
    });
  }

  async result(): Promise<Result<LeasedSnapshot, BuildError>> {
    const main = this.#stage(planStages(this.#request.spec));
    await this.#untilQuiet();
    if (this.#bug) throw this.#bug.bug;
    if (this.#failure) return err(this.#failure);
    if (this.#signal.aborted) return err(cancelled(this.#signal));
    const end = await main;
    if (end.isErr()) return err(end.error);
    const key = end.value;
    const snapshot = await this.#engine.store.lookup(key);
    if (snapshot.isErr()) return err(fromStore(snapshot.error));
    if (snapshot.value === undefined)
      return err(lost(key, `the ${this.#engine.store.name} store does not have it`));
    const lease = this.#engine.leases.take(key);
    return ok({ key, snapshot: snapshot.value, [Symbol.asyncDispose]: async () => lease[Symbol.dispose]() });
  }

  /**
   * Takes what is gone, and what is left of it, out of the index and the store, unless another build is making it again
   * already.
   *
   * @returns What is gone that the build had counted on; undefined if it failed for another reason.
   */
  async forgetLost(error: BuildError): Promise<string | undefined> {
    if (error.type !== 'store' || error.error.type !== 'not-found') return undefined;
    // What nobody else uses is to go, and this try has ended.
    this[Symbol.dispose]();
    // What it was built on may be gone as well.
    for (let key: StepKey | undefined = error.error.key; key; key = await this.#forgetUnlessWhole(key)) {}
    return error.message;
  }

  /** @returns What it was built on, if it was forgotten. */
  async #forgetUnlessWhole(key: StepKey): Promise<StepKey | undefined> {
    const { steps, store, index, records, leases } = this.#engine;
    if (steps.isRunning(key) || steps.isReserved(key)) return undefined;
    return steps.reserve([key], async () => {
      const there = await store.lookup(key);
      // Who cannot look does not know.
      if (there.isErr() || (there.value !== undefined && (await records.read(key)) !== undefined))
        return undefined;
      const parent = index.parentOf(key);
      index.forget(key);
      // This try may have been aborted by the step that failed; the build goes on.
      if (!leases.has(key)) await store.remove(key, this.#request.signal);
      return parent;
    });
  }

  [Symbol.dispose](): void {
    for (const lease of this.#leases) lease[Symbol.dispose]();
  }

  /** Waits for all stages that were started, also for those whose result nobody needs any more. */
  async #untilQuiet(): Promise<void> {
    for (let started = 0; started < this.#stages.size; ) {
      started = this.#stages.size;
      await Promise.allSettled(this.#stages.values());
    }
  }

  /** The key of a stage's last step, which is saved and leased then. */
  #stage(stage: StagePlan): Promise<Result<StepKey, BuildError>> {
    const known = this.#stages.get(stage);
    if (known) return known;
    const end = catchThrown(this.#engine, this.#signal, () => this.#buildStage(stage)).then((result) => {
      if (result.isErr()) {
        this.#failed(result.error);
        this.#abort.abort(new Error(`stage "${stage.name}" failed`));
      }
      return result;
    });
    end.catch((bug) => {
      this.#bug = { bug };
      this.#abort.abort(bug);
    });
    this.#stages.set(stage, end);
    return end;
  }

  /** What happens first is what is told, also where a listener that hears of it stops the build. */
  #failed(error: BuildError): void {
    if (!this.#signal.aborted) this.#failure ??= error;
  }

  async #buildStage(stage: StagePlan): Promise<Result<StepKey, BuildError>> {
    let keyed = await this.#keys.of(stage);
    if (keyed.isErr()) return err(keyed.error);
    await this.#events.emit({ type: 'stage-started', stage: stage.name, steps: keyed.value.length });
    let next = await this.#skipSaved(stage, { steps: keyed.value, from: 0 });
    while (next < keyed.value.length) {
      this.#startSources(keyed.value.slice(next));
      const step = keyed.value[next] as KeyedStep;
      // Without inputs a key is only known from an earlier build, and its step has gone meanwhile.
      if (step.inputs === undefined) {
        const learnt = await this.#lookAtFiles(step);
        if (learnt.isErr()) return err(learnt.error);
        keyed = await this.#keys.of(stage);
        if (keyed.isErr()) return err(keyed.error);
        next = await this.#skipSaved(stage, { steps: keyed.value, from: next });
      } else {
        const made = await this.#make(stage, { steps: keyed.value, at: next });
        if (made.isErr()) return err(made.error);
        next += 1;
      }
    }
    const end = keyed.value.at(-1)?.key;
    if (end === undefined) throw new Error(`stage "${stage.name}" ended without a key`);
    return ok(end);
  }

  /** Looks from the last step back for one that is saved. @returns The index of the step after it. */
  async #skipSaved(
    stage: StagePlan,
    { steps, from }: { readonly steps: readonly KeyedStep[]; readonly from: number },
  ): Promise<number> {
    const last = steps.findLastIndex(({ key }) => key !== undefined && this.#engine.index.isSaved(key));
    // What a step with a key is built on has a key too.
    const saved = steps.slice(from, last + 1) as readonly KnownStep[];
    const keys = saved.map(({ key }) => key);
    for (const key of keys) this.#leases.add(this.#engine.leases.take(key));
    this.#engine.index.touch(keys);
    for (const [i, step] of saved.entries()) {
      const { key, op } = step;
      this.#rememberFiles(step);
      await this.#reporter.cached({ stage: stage.name, key, op, number: from + i + 1 });
    }
    return Math.max(from, last + 1);
  }

  /** Stages that the steps to come will read start now, all at the same time. */
  #startSources(steps: readonly KeyedStep[]): void {
    // How each of them ended is asked for by the step that reads it.
    for (const { draft } of steps) if (draft?.source) this.#stage(draft.source).catch(() => {});
  }

  /** Builds the stage that a `copy` reads, and looks at the files. */
  async #lookAtFiles({ draft }: KeyedStep): Promise<Result<void, BuildError>> {
    if (draft?.source === undefined || draft.op.op !== 'copy')
      throw new Error('only a copy from a stage lacks a key');
    const source = await this.#stage(draft.source);
    if (source.isErr()) return err(source.error);
    const opened = await openStep(this.#engine, source.value);
    if (opened.isErr()) return err(opened.error);
    await using place = opened.value;
    const limit = { timeoutMs: this.#request.limits?.timeoutMs, signal: this.#signal };
    const manifest = await manifestOfCopy(this.#engine, draft.op, { source: place, ...limit });
    if (manifest.isErr()) return err(manifest.error);
    this.#keys.learn(draft, manifest.value);
    return ok();
  }

  /** Runs a step or joins its run, and leases what comes out. */
  async #make(
    stage: StagePlan,
    { steps, at }: { readonly steps: readonly KeyedStep[]; readonly at: number },
  ): Promise<Result<void, BuildError>> {
    const obtainable = await this.#obtainable(stage, { steps, at });
    if (obtainable.isErr()) return err(obtainable.error);
    const step = steps[at] as KnownStep;
    const { key, op } = step;
    const lease = await this.#obtain(obtainable.value, { stage: stage.name, key, op, number: at + 1 });
    if (lease.isErr()) return err(lease.error);
    this.#rememberFiles(step);
    return ok();
  }

  async #obtain(obtainable: Obtainable, place: StepPlace): Promise<Result<Lease, BuildError>> {
    const { key } = obtainable;
    for (;;) {
      const report = this.#reporter.begin(place);
      const lease = await this.#engine.steps.obtain(
        { ...obtainable, signal: this.#signal, onQueue: report.queued, onStart: report.started },
        () => (this.#engine.index.isSaved(key) ? this.#engine.leases.take(key) : undefined),
      );
      if (lease.isOk()) this.#leases.add(lease.value);
      // What was wrong with the other build's files, secrets or limits need not be wrong with ours.
      const again = lease.isErr() && report.source === 'joined' && isOwnersFault(lease.error, place.op);
      if (lease.isErr() && !again) this.#failed(lease.error);
      await report.ended(again ? 'again' : lease);
      if (!again) return lease;
    }
  }

  async #obtainable(
    stage: StagePlan,
    { steps, at }: { readonly steps: readonly KeyedStep[]; readonly at: number },
  ): Promise<Result<Obtainable, BuildError>> {
    const step = steps[at] as KnownStep;
    if (step.draft === undefined) {
      const base = await this.#keys.base(stage);
      return base.map((value) =>
        obtainableBase(this.#engine, this.#request, { base: value, stage: stage.name }),
      );
    }
    const source = step.draft.source ? await this.#stage(step.draft.source) : ok(undefined);
    if (source.isErr()) return err(source.error);
    return obtainableStep(this.#engine, this.#request, {
      step: step as StandingStep['step'],
      stage: stage.name,
      parent: (steps[at - 1] as KnownStep).key,
      source: source.value,
    });
  }

  /** So that next time this copy is known before its stage is built. */
  #rememberFiles({ quick, key }: KnownStep): void {
    if (quick !== undefined && this.#engine.index.isSaved(key)) this.#engine.index.alias(quick, key);
  }
}
