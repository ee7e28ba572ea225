import { err, ok, type Result } from 'neverthrow';
import { cancelled, failed, type StoreError } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type { Store, UsageAxis } from '../backend/store.ts';
import type { IndexDb } from './index-db.ts';
import type { Leases } from './leases.ts';
import type { SavedStep } from './saved-step.ts';
import type { StepTable } from './step-table.ts';

/**
 * Which saved steps may go. The least recently used go first, and what is in use or built upon stays.
 *
 * A step goes if it is unused since `unusedSince`, or as long as the store has less than `keepFreeBytes`
 * free or more than `maxObjects` steps. Without any of the three, all that is not in use goes.
 */
export interface PrunePolicy {
  readonly unusedSince?: Date;
  readonly keepFreeBytes?: number;
  readonly maxObjects?: number;
  /** How many steps may go at the most. */
  readonly limit?: number;
  readonly onRemoved?: (key: StepKey) => void;
}

/** What a builder prunes by when its store is full. */
export interface RoomPolicy extends PrunePolicy {
  /** Steps go as long as less than this part is free of anything that was full, not of bytes alone. */
  readonly keepFreePart?: number;
}

/** What runs out when steps are saved, and is free again when they go. */
const FILLED: readonly UsageAxis['axis'][] = ['bytes', 'inodes', 'metadata-bytes', 'objects'];

/** What removal needs to know and to change. */
export interface Saved {
  readonly index: IndexDb;
  readonly store: Store;
  readonly leases: Leases;
  readonly steps: Pick<StepTable<unknown>, 'isRunning' | 'isReserved' | 'reserve'>;
  /** Called when a step is gone from the store, before its row is. */
  readonly onRemoved: (key: StepKey) => Promise<void>;
}

/**
 * Removes what the policy lets go, one by one, looking again before each: meanwhile a step may have come into use.
 * One that cannot be removed does not keep the others; what it failed with is told at the end.
 */
export async function prune(
  saved: Saved,
  policy: RoomPolicy,
  signal?: AbortSignal,
): Promise<Result<StepKey[], StoreError>> {
  const removed = new Set<StepKey>();
  const stubborn = new Map<StepKey, StoreError>();
  if (policy.unusedSince !== undefined) saved.index.mendClock(policy.unusedSince);
  while (removed.size < (policy.limit ?? Number.POSITIVE_INFINITY)) {
    if (signal?.aborted) return err(cancelled(signal));
    const pressure = await isUnderPressure(saved, policy);
    if (pressure.isErr()) return err(pressure.error);
    const next = saved.index.firstLeaf(
      (step) => mayGo(step, policy, pressure.value) && !stubborn.has(step.key) && !isInUse(saved, step.key),
    );
    if (next === undefined) break;
    const gone = await removeSteps(saved, [next.key], signal);
    if (gone.isErr()) {
      stubborn.set(next.key, gone.error);
      continue;
    }
    removed.add(next.key);
    policy.onRemoved?.(next.key);
    const reclaimed = looksAtUsage(policy) ? await saved.store.reclaimed(signal) : ok();
    if (reclaimed.isErr()) return err(reclaimed.error);
  }
  const [failure] = stubborn.values();
  if (failure !== undefined) return err(failure);
  const reclaimed = removed.size === 0 ? ok() : await saved.store.reclaimed(signal);
  return reclaimed.map(() => [...removed]);
}

/** Removes a step and all that was built on it; nothing at all if one of them is in use. */
export async function removeWithDescendants(
  saved: Saved,
  key: StepKey,
  signal?: AbortSignal,
): Promise<Result<StepKey[], StoreError>> {
  const doomed = descendants(saved.index, key).reverse();
  const used = doomed.find((one) => isInUse(saved, one));
  if (used !== undefined) return err({ type: 'busy', message: `the step ${used} is in use` });
  const gone = await removeSteps(saved, doomed, signal);
  if (gone.isErr()) return err(gone.error);
  const reclaimed = await saved.store.reclaimed(signal);
  return reclaimed.map(() => doomed);
}

/**
 * Removes steps, in this order. From the first moment on none of them can come into use; those that were not
 * tried, because an earlier one failed, are as they were.
 */
async function removeSteps(
  { index, store, steps, onRemoved }: Saved,
  keys: readonly StepKey[],
  signal?: AbortSignal,
): Promise<Result<void, StoreError>> {
  if (signal?.aborted) return err(cancelled(signal));
  const whole = new Set(keys.filter((key) => index.isSaved(key)));
  for (const key of keys) index.removing(key);
  return steps.reserve(keys, async () => {
    for (const [i, key] of keys.entries()) {
      const removed = await store.remove(key, signal);
      if (removed.isErr()) {
        for (const untouched of keys.slice(i + 1)) if (whole.has(untouched)) index.keep(untouched);
        return removed;
      }
      await onRemoved(key);
      index.forget(key);
    }
    return ok();
  });
}

function mayGo(step: SavedStep, policy: RoomPolicy, isUnderPressure: boolean): boolean {
  const { unusedSince, maxObjects } = policy;
  if (unusedSince !== undefined && step.usedAt < unusedSince) return true;
  const takesAll = unusedSince === undefined && maxObjects === undefined && !looksAtUsage(policy);
  return takesAll || isUnderPressure;
}

function looksAtUsage({ keepFreeBytes, keepFreePart }: RoomPolicy): boolean {
  return keepFreeBytes !== undefined || keepFreePart !== undefined;
}

async function isUnderPressure(
  { index, store }: Saved,
  policy: RoomPolicy,
): Promise<Result<boolean, StoreError>> {
  const { keepFreeBytes, keepFreePart = 0, maxObjects } = policy;
  if (maxObjects !== undefined && index.countSaved() > maxObjects) return ok(true);
  if (!looksAtUsage(policy)) return ok(false);
  const usage = await store.usage();
  if (usage.isErr()) return err(usage.error);
  const isCrowded = usage.value.some(
    ({ axis, used, total }) =>
      FILLED.includes(axis) && total !== undefined && total - used < total * keepFreePart,
  );
  if (isCrowded || keepFreeBytes === undefined) return ok(isCrowded);
  const bytes = usage.value.find(({ axis }) => axis === 'bytes');
  if (bytes?.total !== undefined) return ok(bytes.total - bytes.used < keepFreeBytes);
  return err(
    failed(`the ${store.name} store does not tell how many bytes are free: prune by age or by number`),
  );
}

function isInUse({ leases, steps }: Saved, key: StepKey): boolean {
  return leases.has(key) || steps.isRunning(key) || steps.isReserved(key);
}

/** The step itself first, then what was built on it, each parent before its children. */
function descendants(index: IndexDb, key: StepKey): StepKey[] {
  const found = [key];
  for (const one of found) for (const child of index.children(one)) found.push(child);
  return found;
}
