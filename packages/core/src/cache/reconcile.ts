import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import type { StoreError } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type { Store } from '../backend/store.ts';
import type { IndexDb } from './index-db.ts';

const debug: createDebug.Debugger = createDebug('snapstep:builder');

/** What was put in order when a builder was opened. */
export interface Reconciled {
  /** Rows of steps that were not saved whole, or whose snapshot is gone. */
  readonly forgotten: readonly StepKey[];
  /** Snapshots that no row promised. */
  readonly removed: readonly StepKey[];
}

/**
 * Brings index and store in line after whatever happened: rows that promise nothing go with their snapshots,
 * rows without a snapshot go, and snapshots without a row go, children first.
 */
export async function reconcile(index: IndexDb, store: Store): Promise<Result<Reconciled, StoreError>> {
  const listed = await store.list();
  if (listed.isErr()) return err(listed.error);
  const stored = new Set(listed.value);
  const states = index.states();
  const forgotten = [...states]
    .filter(([key, state]) => state !== 'saved' || !stored.has(key))
    .map(([key]) => key);
  const orphans = listed.value.filter((key) => states.get(key) !== 'saved');
  const stuck = new Set(await removeOrphans(store, orphans));
  for (const key of forgotten) if (!stuck.has(key)) index.forget(key);
  return ok({ forgotten, removed: orphans.filter((key) => !stuck.has(key)) });
}

/**
 * Who is whose child is not known here: what is still built upon is tried again after the others.
 *
 * @returns Those that could not be removed. A step of that key is removed again before it runs.
 */
async function removeOrphans(store: Store, orphans: readonly StepKey[]): Promise<readonly StepKey[]> {
  let left = orphans;
  for (;;) {
    const busy: StepKey[] = [];
    for (const key of left) {
      const removed = await store.remove(key);
      if (removed.isOk()) continue;
      debug('the snapshot %s, which no row promised, cannot be removed now: %o', key, removed.error);
      busy.push(key);
    }
    if (busy.length === left.length) return busy;
    left = busy;
  }
}
