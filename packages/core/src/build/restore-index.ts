import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import type { StoreError } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type { Store } from '../backend/store.ts';
import type { IndexDb } from '../cache/index-db.ts';
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
  readonly damaged: string;
}): Promise<Result<void, StoreError>> {
  debug('the index was damaged: kept as %s, rebuilding', lost.damaged);
  const listed = await lost.store.list();
  if (listed.isErr()) return err(listed.error);
  const found = new Map<StepKey, StepRecord>();
  for (const key of listed.value) {
    const record = await lost.records.read(key);
    if (record) found.set(key, record);
  }
  for (const key of found.keys()) restoreWithParents(lost.index, { key, found });
  return ok();
}

function restoreWithParents(
  index: IndexDb,
  { key, found }: { readonly key: StepKey; readonly found: ReadonlyMap<StepKey, StepRecord> },
): void {
  const chain: StepKey[] = [];
  for (let at: StepKey | undefined = key; at !== undefined && found.has(at) && !index.isSaved(at); ) {
    chain.unshift(at);
    at = parentOf(found.get(at));
  }
  const now = new Date();
  for (const one of chain) {
    const record = found.get(one) as StepRecord;
    const { title, inputs } = record;
    const dates = { savedAt: now, usedAt: now, milliseconds: 0 };
    index.restore({ key: one, parent: parentOf(record), title, op: inputs.op, ...dates });
  }
}

function parentOf(record: StepRecord | undefined): StepKey | undefined {
  return record && 'parent' in record.inputs ? record.inputs.parent : undefined;
}
