import { err, ok, type Result } from 'neverthrow';
import { DiskProbe } from '../backend/disk-room.ts';
import { prune, type Saved } from '../cache/prune.ts';
import { Slots } from '../cache/slots.ts';
import type { BaseImageError, BuildError } from './builder.ts';
import type { StepWatch } from './disk-watch.ts';
import type { Engine, Full, Room } from './engine.ts';
import { catchThrown, isNoSpace } from './errors.ts';
import { isStoreShort, shortageOf } from './spare-room.ts';
import { type Sweeping, sweepLeftovers } from './sweep-leftovers.ts';

/**
 * Where room is made, this part of the store shall be free: of its bytes, inodes and the like. More where that was not
 * enough.
 */
const ROOMY: readonly number[] = [0.1, 0.3];

export interface AttemptFailure<E> {
  readonly error: E;
  readonly full?: Full;
}

/** What one attempt came to. */
export type Attempted<T, E = BuildError> = Result<T, AttemptFailure<E>>;

type Removing = Pick<Engine, 'index' | 'store' | 'leases' | 'steps' | 'logs' | 'records'>;

/** What may be thrown in an attempt. */
type Thrown = Extract<BuildError, { readonly type: 'store' | 'cancelled' }>;

/** An error of a store, a sandbox or a fetcher, as the failure of an attempt. */
export function toldByStore<E extends BuildError | BaseImageError>(error: E): AttemptFailure<E> {
  return isNoSpace(error) ? { error, full: 'store' } : { error };
}

/** An error about a disk that was watched while a command ran. */
export function toldByWatch<E extends BuildError | BaseImageError>(
  error: E,
  { verdict }: StepWatch,
): AttemptFailure<E> {
  if (verdict === undefined) return toldByStore(error);
  return { error, full: verdict === 'doubtful' ? 'doubtful' : 'perhaps' };
}

/** An error about the builder's own directory. */
export function toldByState<E extends BuildError | BaseImageError>(error: E): AttemptFailure<E> {
  return isNoSpace(error) ? { error, full: 'state' } : { error };
}

/**
 * Tries something, and where a disk was full makes room and tries it again: with more room each time, as long as there
 * is something to make it of.
 *
 * @throws The signal's reason, if it is aborted while room is made.
 */
export async function withRoom<T, E extends BuildError | BaseImageError>(
  engine: Pick<Engine, 'stateDir' | 'disks' | 'room'>,
  work: {
    readonly signal: AbortSignal;
    readonly attempt: () => Promise<Attempted<T, E>>;
    /** Tells whoever follows why it takes longer. */
    readonly tell: (text: string) => Promise<unknown>;
  },
): Promise<Result<T, E | Thrown>> {
  for (let tries = 0; ; tries += 1) {
    const tried = await tryOnce(engine, work);
    if (tried.isOk()) return ok(tried.value);
    const { error, full } = tried.error;
    // A fetcher may have run out of room elsewhere: for that one round is enough.
    if (full === undefined || tries === (error.type === 'fetch' ? 1 : ROOMY.length)) return err(error);
    if (full === 'doubtful' && tries > 0) {
      await work.tell('The disk was full not long ago: waiting until that is over, then trying once more.');
      await engine.disks.calm(work.signal);
      continue;
    }
    await work.tell('The disk is full: making room, then trying once more.');
    if (!(await engine.room.make(full, { tries, signal: work.signal }))) return err(error);
  }
}

async function tryOnce<T, E extends BuildError | BaseImageError>(
  engine: Pick<Engine, 'stateDir' | 'disks'>,
  { signal, attempt }: { readonly signal: AbortSignal; readonly attempt: () => Promise<Attempted<T, E>> },
): Promise<Attempted<T, E | Thrown>> {
  const tried = await catchThrown(engine, signal, async () => ok(await attempt()));
  if (tried.isErr()) return err(toldByState(tried.error));
  const made = tried.value;
  // A fetcher may have run out of room elsewhere.
  if (made.isErr() && made.error.full === 'store' && made.error.error.type !== 'fetch') engine.disks.alarm();
  return made;
}

/** What removal needs to know of an engine. */
export function savedOf({ index, store, leases, steps, logs, records }: Removing): Saved {
  return {
    index,
    store,
    leases,
    steps,
    onRemoved: async (key) => {
      logs.remove(key);
      await records.remove(key);
    },
  };
}

/** The room of a builder. @param engine - Asked for once it is made. */
export function roomOf(engine: () => Removing & Sweeping & Pick<Engine, 'disks'>): Room {
  const turns = new Slots(1);
  let removed = 0;
  const onRemoved = (): void => {
    removed += 1;
  };
  return {
    async make(full, { tries, signal }) {
      const before = removed;
      using _turn = await turns.take(signal);
      // Somebody else has made room in the meantime.
      if (removed !== before) return true;
      // What the attempt had written is not to be made up for by what is saved.
      await engine().store.reclaimed(signal);
      signal.throwIfAborted();
      // What failed is of less use than what is saved, but it may be on another disk.
      if (full === 'state' || !hasRoom(engine()))
        await sweepLeftovers(engine(), { before: Number.POSITIVE_INFINITY });
      const saved = savedOf(engine());
      if (full === 'store') await prune(saved, { limit: 1, onRemoved }, signal);
      if (full !== 'state' || (await isShort(engine())))
        await prune(saved, { keepFreePart: ROOMY[tries] ?? 1, onRemoved }, signal);
      if (tries > 0) return removed !== before || (full === 'state' && hasRoom(engine()));
      // What went from the store may have been on the same disk, also where that is still nearly full.
      return full !== 'state' || removed !== before || hasRoom(engine());
    },
  };
}

/** Whether the store has no room either: it may be on the same disk as the builder's own directory. */
async function isShort({ store, disks }: Pick<Engine, 'store' | 'disks'>): Promise<boolean> {
  return isStoreShort((await store.usage()).unwrapOr([]), disks.rules);
}

/** Whether the builder's own directory has room again. */
function hasRoom({ stateDir, disks }: Pick<Engine, 'stateDir' | 'disks'>): boolean {
  const room = new DiskProbe(stateDir).look();
  return room === undefined || shortageOf(room, disks.rules) === undefined;
}
