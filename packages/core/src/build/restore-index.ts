import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import type { StoreError } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type { Store } from '../backend/store.ts';
import type { IndexDb, SavedStep } from '../cache/index-db.ts';
import type { StepRecord, StepRecords } from './step-records.ts';

const debug: createDebug.Debugger = createDebug('snapstep:builder');

/**
 * Fills an index that was lost from the snapshots in the store and the record beside each. When they were
 * used is not known any more: all count as used now.
 */
export async function restoreIndex(lost: {
  readonly index: IndexDb;
  readonly store: Store;
  readonly records: StepRecords;
}): Promise<Result<void, StoreError>> {
  const listed = await lost.store.list();
  if (listed.isErr()) return err(listed.error);
  const found = new Map<StepKey, StepRecord>();
  for (const key of listed.value) {
    const record = await lost.records.read(key);
    if (record) found.set(key, record);
  }
  debug('the index is new: %d of %d snapshots are known by their records', found.size, listed.value.length);
  lost.index.fill(inOrder(found));
  return ok();
}

/** Parents before their children. A parent that was not found is unknown. */
function inOrder(found: ReadonlyMap<StepKey, StepRecord>): (SavedStep & { readonly op: string })[] {
  const rows = new Map<StepKey, SavedStep & { readonly op: string }>();
  const now = new Date();
  for (const key of found.keys()) {
    const chain: StepKey[] = [];
    for (let at: StepKey | undefined = key; at !== undefined && found.has(at) && !rows.has(at); ) {
      chain.unshift(at);
      at = parentOf(found.get(at));
    }
    for (const one of chain) {
      const record = found.get(one) as StepRecord;
      const parent = parentOf(record);
      const known = parent !== undefined && rows.has(parent) ? parent : undefined;
      const { title, inputs } = record;
      rows.set(one, {
        key: one,
        parent: known,
        title,
        op: inputs.op,
        savedAt: now,
        usedAt: now,
        milliseconds: 0,
      });
    }
  }
  return [...rows.values()];
}

function parentOf(record: StepRecord | undefined): StepKey | undefined {
  return record && 'parent' in record.inputs ? record.inputs.parent : undefined;
}
