import { randomUUID } from 'node:crypto';
import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import { failed, type StoreError } from '../backend/failures.ts';
import type { HostPath } from '../backend/names.ts';
import { pairingIn } from '../backend/pairing.ts';
import type { Store } from '../backend/store.ts';
import type { IndexDb } from '../cache/index-db.ts';

const debug: createDebug.Debugger = createDebug('snapstep:builder');

export interface PairRequest {
  readonly store: Store;
  readonly stateDir: HostPath;
  readonly index: IndexDb;
  /** Whether the state existed before this builder was opened. */
  readonly isOldState: boolean;
  /** Whether the two are to belong together from now on, whatever is lost by that. */
  readonly adopt: boolean;
}

/**
 * Sees to it that the state of a builder and its store belong together: opening them deletes every snapshot that the
 * state does not know. Two that are new, or hold nothing, become a pair.
 */
export async function pairWithStore(request: PairRequest): Promise<Result<void, StoreError>> {
  const { store, stateDir } = request;
  const state = pairingIn(stateDir);
  const ofState = await state.get();
  if (ofState.isErr()) return err(ofState.error);
  const ofStore = await store.pairing.get();
  if (ofStore.isErr()) return err(ofStore.error);
  if (ofState.value !== undefined && ofState.value === ofStore.value) return ok();
  const listed = await store.list();
  if (listed.isErr()) return err(listed.error);
  const count = { steps: request.index.countSaved(), snapshots: listed.value.length };
  const areStrangers = ofState.value !== undefined || ofStore.value !== undefined || !request.isOldState;
  const isHalfLost = ofState.value === undefined || ofStore.value === undefined;
  // Where each knows what the other has, nothing is deleted.
  const areAlike =
    isHalfLost && listed.value.every((key) => request.index.isSaved(key)) && count.steps === count.snapshots;
  if (!request.adopt && areStrangers && !areAlike && count.steps + count.snapshots > 0) {
    return err(failed(describe(request, count)));
  }
  const pair = randomUUID();
  // The half that is lost comes last: whoever is stopped in between finds one half, and not two that do not match.
  for (const side of ofStore.value === undefined ? [state, store.pairing] : [store.pairing, state]) {
    const set = await side.set(pair);
    // Two halves that do not match hold nothing yet, so the next open tries again.
    if (set.isErr() && set.error.type !== 'no-space') return set;
    if (set.isErr()) debug('%s is not paired: %o', stateDir, set.error);
  }
  return ok();
}

function describe(
  { store, stateDir }: PairRequest,
  { steps, snapshots }: { readonly steps: number; readonly snapshots: number },
): string {
  return (
    `the state in ${stateDir} does not belong to this ${store.name} store: the store has ${snapshots} snapshots, which ` +
    `would be deleted where that state does not know them, and the state knows ${steps} steps. Open the store with the ` +
    'state that belongs to it, or adopt it (option "adopt", on the command line --adopt)'
  );
}
