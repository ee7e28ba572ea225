import { err, ok, type Result } from 'neverthrow';
import { cancelled } from '../backend/failures.ts';
import type { ImageConfig } from '../backend/fetcher.ts';
import type { StepKey } from '../backend/names.ts';
import type { ActiveSnapshot, PrepareRequest } from '../backend/store.ts';
import type { LogWriter } from '../log/step-log.ts';
import { stepPrefix } from '../plan/file-names.ts';
import type { KeyedInputs } from '../plan/key.ts';
import type { BuildError, StepOp } from './builder.ts';
import type { Engine } from './engine.ts';
import { fromStore, fromThrown, lost } from './errors.ts';

/** A step that is to be made: where from, and what fills it. */
export interface StepToMake {
  readonly key: StepKey;
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
  readonly body: (io: StepIo) => Promise<Result<ImageConfig, BuildError>>;
}

export interface StepIo {
  readonly active: ActiveSnapshot;
  readonly log: LogWriter;
  readonly signal: AbortSignal;
}

type Made = Result<void, BuildError>;
type Running = Omit<StepIo, 'active'>;

/**
 * Makes one step and saves it: a row `saving`, an active snapshot, the body, commit, a row `saved`.
 * Whatever fails, nothing is left of it. A full disk is pruned once, and the step tried once more.
 */
export async function produce(engine: Engine, step: StepToMake, io: Running): Promise<Made> {
  using _parent = step.parent === undefined ? undefined : engine.leases.take(step.parent);
  const slot = await catchThrown(io.signal, async () =>
    ok(step.skipsQueue ? undefined : await engine.slots.take(io.signal)),
  );
  if (slot.isErr()) return err(slot.error);
  using _slot = slot.value;
  const { removed } = engine.room;
  const made = await catchThrown(io.signal, () => attempt(engine, step, io));
  if (made.isOk() || !isNoSpace(made.error)) return made;
  // The log may be on the disk that is full.
  await io.log.write('The disk is full: making room, then trying once more.\n').catch(() => {});
  return catchThrown(io.signal, async () =>
    (await engine.room.make(removed, io.signal)) ? attempt(engine, step, io) : made,
  );
}

/** What system calls threw becomes a failure, and what an abort threw `cancelled`; a bug is thrown on. */
export async function catchThrown<T>(
  signal: AbortSignal,
  work: () => Promise<Result<T, BuildError>>,
): Promise<Result<T, BuildError>> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) return err(cancelled(signal));
    const failure = fromThrown(error);
    if (failure === undefined) throw error;
    return err(failure);
  }
}

async function attempt(engine: Engine, step: StepToMake, io: Running): Promise<Made> {
  const { index, records, clock } = engine;
  const start = clock.elapsed();
  const cleared = await clearLeftovers(engine, step.key, io.signal);
  if (cleared.isErr()) return cleared;
  if (step.parent !== undefined && !index.isSaved(step.parent))
    return err(lost(step.parent, 'it was just removed'));
  // It may come out otherwise than when it was made before.
  engine.hashes.forget(stepPrefix(step.key));
  index.begin(step.key, { parent: step.parent, op: step.op.op, title: step.title });
  let saved = false;
  try {
    const settled = await index.beginDurably(step.key);
    if (settled?.isErr()) return err(fromStore(settled.error));
    await records.write(step.key, { inputs: step.inputs, title: step.title, image: step.image });
    const made = await fill(engine, step, io);
    if (made.isOk()) index.saved(step.key, clock.elapsed() - start);
    saved = made.isOk();
    return made;
  } finally {
    if (!saved) index.forget(step.key);
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

async function fill(engine: Engine, step: StepToMake, io: Running): Promise<Made> {
  const prepared = await engine.store.prepare({ key: step.key, from: step.from, signal: io.signal });
  if (prepared.isErr()) return err(fromStore(prepared.error));
  await using active = prepared.value;
  if (step.diskBytes !== undefined) {
    const limited = await engine.store.quota?.limit(active, step.diskBytes);
    if (limited?.isErr()) return err(fromStore(limited.error));
  }
  const image = await step.body({ ...io, active });
  if (image.isErr()) return err(image.error);
  if (io.signal.aborted) return err(cancelled(io.signal));
  if (step.op.op === 'base') {
    await engine.records.write(step.key, { inputs: step.inputs, title: step.title, image: image.value });
  }
  const committed = await active.commit();
  return committed.isErr() ? err(fromStore(committed.error)) : ok();
}

function isNoSpace(error: BuildError): boolean {
  return (error.type === 'store' || error.type === 'fetch') && error.error.type === 'no-space';
}
