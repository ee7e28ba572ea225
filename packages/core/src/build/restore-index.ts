import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import { bootId } from '../backend/boot-id.ts';
import type { StoreError } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type { Store } from '../backend/store.ts';
import type { IndexDb } from '../cache/index-db.ts';
import type { RestoredStep } from '../cache/saved-step.ts';
import { stepKey } from '../plan/key.ts';
import type { StepRecord, StepRecords } from './step-records.ts';

const debug: createDebug.Debugger = createDebug('snapstep:builder');

/**
 * Fills an index that was lost from the snapshots in the store and the record beside each. When they were
 * used is not known any more: all count as used now.
 *
 * @param lost.lastBoot - In which a builder last forgot what was not durable; undefined if that is not known.
 */
export async function restoreIndex(lost: {
  readonly index: IndexDb;
  readonly store: Store;
  readonly records: StepRecords;
  readonly lastBoot: string | undefined;
}): Promise<Result<void, StoreError>> {
  const listed = await lost.store.list();
  if (listed.isErr()) return err(listed.error);
  const found = new Map<StepKey, StepRecord>();
  for (const key of listed.value) {
    const record = await lost.records.read(key);
    if (record && stepKey(record.inputs) === key && isTrusted(record, lost.lastBoot)) found.set(key, record);
  }
  debug('the index is new: %d of %d snapshots are known by their records', found.size, listed.value.length);
  lost.index.fill(inOrder(found));
  return ok();
}

/**
 * Nothing saved in this boot was lost by a power cut. What was saved before the boot of the last opening has outlived
 * one. Of that boot itself nobody knows what was durable.
 */
function isTrusted({ boot }: StepRecord, lastBoot: string | undefined): boolean {
  return boot === bootId() || (lastBoot !== undefined && boot !== lastBoot);
}

/** Parents before their children. A parent that was not found is unknown. */
function inOrder(found: ReadonlyMap<StepKey, StepRecord>): RestoredStep[] {
  const rows = new Map<StepKey, RestoredStep>();
  const now = new Date();
  for (const key of found.keys()) {
    const chain: (readonly [StepKey, StepRecord])[] = [];
    for (let at: StepKey | undefined = key; at !== undefined && !rows.has(at); ) {
      const record = found.get(at);
      if (record === undefined) break;
      chain.unshift([at, record]);
      at = parentOf(record);
    }
    for (const [one, record] of chain) {
      const parent = parentOf(record);
      const known = parent !== undefined && rows.has(parent) ? parent : undefined;
      const { title, inputs, boot } = record;
      rows.set(one, {
        ...{ key: one, parent: known, title, op: inputs.op, isDurable: boot !== bootId() },
        ...{ savedAt: now, usedAt: now, milliseconds: 0 },
      });
    }
  }
  return [...rows.values()];
}

function parentOf({ inputs }: StepRecord): StepKey | undefined {
  return 'parent' in inputs ? inputs.parent : undefined;
}
