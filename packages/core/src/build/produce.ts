import { err, ok, type Result } from 'neverthrow';
import { cancelled } from '../backend/failures.ts';
import type { ImageConfig } from '../backend/fetcher.ts';
import type { StepKey } from '../backend/names.ts';
import type { ActiveSnapshot, PrepareRequest } from '../backend/store.ts';
import type { Produce } from '../cache/step-table.ts';
import type { LogWriter } from '../log/step-log.ts';
import { stepPrefix } from '../plan/file-names.ts';
import type { KeyedInputs } from '../plan/key.ts';
import type { BuildError, StepOp } from './builder.ts';
import type { Allowance, StepWatch } from './disk-watch.ts';
import type { Engine } from './engine.ts';
import { catchThrown, fromStore, isNoSpace, lost } from './errors.ts';
import { type Attempted, toldByState, toldByStore, toldByWatch, withRoom } from './make-room.ts';
import { isStoreShort } from './spare-room.ts';
import { inTime } from './time-limit.ts';

/** A step that is to be made: where from, and what fills it. */
export interface StepToMake {
  readonly key: StepKey;
  /** Of the build that makes it. */
  readonly stage: string;
  readonly op: StepOp;
  readonly title: string;
  readonly inputs: KeyedInputs;
  readonly parent: StepKey | undefined;
  readonly from: PrepareRequest['from'];
  /** What the image at the root of the chain says; a base step learns it from its body. */
  readonly image: ImageConfig;
  /** Health checks do not wait for a slot, so that they answer while all are taken. */
  readonly skipsQueue: boolean;
  /** How much it may write; only where the store has the feature `quota`. */
  readonly diskBytes: number | undefined;
  /** How long filling it may take; undefined for a `run`, whose time the sandbox counts. */
  readonly timeoutMs: number | undefined;
  readonly body: (io: StepIo) => Promise<Result<ImageConfig, BuildError>>;
}

export interface StepIo {
  readonly active: Pick<ActiveSnapshot, 'volumes'>;
  /** To be called by the body of a `run` when its command may begin; any other step has begun before. */
  readonly onStart: () => void;
  /** Knows whether there was room for the step. */
  readonly watch: StepWatch;
  readonly log: LogWriter;
  readonly signal: AbortSignal;
}

type Made = Result<void, BuildError>;
type Running = Parameters<Produce<BuildError>>[0];

interface Attempt extends Running {
  /** Milliseconds since the step began. */
  readonly took: () => number;
}

/**
 * Makes one step and saves it: a row `saving`, an active snapshot, the body, commit, a row `saved`.
 * Whatever fails, nothing is left of it. Where a disk was full, room is made, and the step tried again, at most twice.
 */
export async function produce(engine: Engine, step: StepToMake, io: Running): Promise<Made> {
  using _parent = step.parent === undefined ? undefined : engine.leases.take(step.parent);
  return await catchThrown(engine, io.signal, async () => {
    const places = step.op.op === 'base' ? engine.pulls : engine.slots;
    using _place = step.skipsQueue ? undefined : await places.take(io.signal);
    const timed = startTimed(engine, io);
    if (step.op.op !== 'run') timed.onStart();
    return await withRoom(engine, {
      signal: io.signal,
      attempt: () => attempt(engine, step, timed),
      // The log may be on the disk that is full.
      tell: (text) => io.log.write(`${text}\n`).catch(() => {}),
    });
  });
}

function startTimed({ clock }: Engine, io: Running): Attempt {
  let start: number | undefined;
  return {
    ...io,
    onStart() {
      start ??= clock.elapsed();
      io.onStart();
    },
    took: () => (start === undefined ? 0 : clock.elapsed() - start),
  };
}

async function attempt(engine: Engine, step: StepToMake, io: Attempt): Promise<Attempted<void>> {
  const { index, records } = engine;
  const cleared = await clearLeftovers(engine, step.key, io.signal);
  if (cleared.isErr()) return err(toldByStore(cleared.error));
  if (step.parent !== undefined && !index.isSaved(step.parent))
    return err({ error: lost(step.parent, 'it was just removed') });
  // It may come out otherwise than when it was made before.
  engine.hashes.forget(stepPrefix(step.key));
  index.begin(step.key, { parent: step.parent, op: step.op.op, title: step.title });
  let end: 'committed' | 'saved' | undefined;
  try {
    const settled = await index.beginDurably(step.key);
    if (settled?.isErr()) return err(toldByState(fromStore(settled.error)));
    await records.write(step.key, { inputs: step.inputs, title: step.title, image: step.image });
    const made = await fill(engine, step, io);
    if (made.isErr()) return made;
    end = 'committed';
    index.saved(step.key, io.took());
    end = 'saved';
    return made;
  } finally {
    // What the index has no room to know of would take space, and nobody could prune it.
    if (end === 'committed') await engine.store.remove(step.key);
    if (end !== 'saved') index.forget(step.key);
  }
}

/** A snapshot of this key that the index does not promise is a leftover, whole or not. */
async function clearLeftovers({ store, index }: Engine, key: StepKey, signal: AbortSignal): Promise<Made> {
  const left = await store.lookup(key);
  if (left.isErr()) return err(fromStore(left.error));
  if (left.value === undefined && !index.has(key)) return ok();
  const removed = await store.remove(key, signal);
  if (removed.isErr()) return err(fromStore(removed.error));
  index.forget(key);
  return ok();
}

async function fill(engine: Engine, step: StepToMake, io: Running): Promise<Attempted<void>> {
  const prepared = await engine.store.prepare({ key: step.key, from: step.from, signal: io.signal });
  if (prepared.isErr()) return err(toldByStore(fromStore(prepared.error)));
  await using active = prepared.value;
  const allowance = step.diskBytes === undefined ? undefined : allowanceOf(engine, active);
  if (step.diskBytes !== undefined) {
    const limited = await engine.store.quota?.limit(active, step.diskBytes);
    if (limited?.isErr()) return err(toldByStore(fromStore(limited.error)));
  }
  using watch = engine.disks.begin(active.volumes, allowance);
  const made = await fillAndCommit(engine, step, { ...io, active, watch });
  if (made.isOk()) return ok();
  const { error } = made;
  if (!isNoSpace(error)) return err({ error });
  if (watch.verdict === 'used-up' || (await allowance?.isUsedUp()))
    return err({ error: overLimit(step, 'diskBytes') });
  return err(toldByWatch(error, watch));
}

async function fillAndCommit(
  engine: Engine,
  step: StepToMake,
  io: StepIo & { readonly active: ActiveSnapshot },
): Promise<Made> {
  const timed = { clock: engine.clock, timeoutMs: step.timeoutMs, signal: io.signal };
  const image = await inTime(timed, (signal) => step.body({ ...io, active: io.watch, signal }));
  if (image === 'late') return err(overLimit(step, 'timeoutMs'));
  if (image.isErr()) return err(image.error);
  if (io.signal.aborted) return err(cancelled(io.signal));
  if (step.op.op === 'base') {
    await engine.records.write(step.key, { inputs: step.inputs, title: step.title, image: image.value });
  }
  const committed = await io.active.commit();
  return committed.isErr() ? err(fromStore(committed.error)) : ok();
}

function allowanceOf({ store, disks }: Engine, active: ActiveSnapshot): Allowance {
  return {
    isUsedUp: async () => (await store.quota?.isUsedUp(active))?.unwrapOr(false) ?? false,
    isStoreShort: async () => isStoreShort((await store.usage()).unwrapOr([]), disks.rules),
  };
}

function overLimit(step: StepToMake, limit: 'diskBytes' | 'timeoutMs'): BuildError {
  const { key, stage, op, diskBytes, timeoutMs } = step;
  const message =
    limit === 'diskBytes'
      ? `the step wrote more than its limit of ${diskBytes} bytes (diskBytes)`
      : `the step took longer than its limit of ${timeoutMs} ms (timeoutMs)`;
  return { type: 'step-failed', key, stage, op, exit: { type: 'limit-exceeded', limit }, message };
}
