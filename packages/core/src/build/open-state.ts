import { existsSync } from 'node:fs';
import { join } from 'node:path';
import createDebug from 'debug';
import { err, ok, type Result } from 'neverthrow';
import { bootId } from '../backend/boot-id.ts';
import type { Clock } from '../backend/clock.ts';
import type { StoreError } from '../backend/failures.ts';
import { HashCache } from '../backend/hash-cache.ts';
import { type HostPath, toHostPath } from '../backend/names.ts';
import type { Store } from '../backend/store.ts';
import { IndexDb } from '../cache/index-db.ts';
import { reconcile } from '../cache/reconcile.ts';
import { BootFile } from './boot-file.ts';
import { pairWithStore } from './pair-with-store.ts';
import { restoreIndex } from './restore-index.ts';
import { StepRecords } from './step-records.ts';

const debug: createDebug.Debugger = createDebug('snapstep:builder');

export interface StateOptions {
  readonly store: Store;
  readonly stateDir: HostPath;
  readonly clock: Clock;
  /** Whether a state and a store that do not belong together become a pair. */
  readonly adopt: boolean;
}

/** What a builder keeps in its state directory, in order and in line with the store. */
export interface State {
  readonly index: IndexDb;
  readonly records: StepRecords;
  readonly hashes: HashCache;
}

/**
 * Opens the state, and puts in order what a crash or a power cut left: state and store are a pair, what was not durable
 * when the machine went down is forgotten, a lost index is filled again, and index and store agree.
 *
 * @param hold - Called with each part that is open, also before a failure.
 */
export async function openState(
  options: StateOptions,
  hold: (part: Disposable) => void,
): Promise<Result<State, StoreError>> {
  const { stateDir, clock } = options;
  const isOldState = existsSync(join(stateDir, 'index.db'));
  const index = IndexDb.open(stateDir, clock);
  hold(index);
  const paired = await pairWithStore({ ...options, index, isOldState });
  if (paired.isErr()) return err(paired.error);
  const records = new StepRecords(toHostPath(join(stateDir, 'steps')));
  const ordered = await putInOrder(options, { index, records });
  if (ordered.isErr()) return err(ordered.error);
  const hashes = HashCache.open(stateDir);
  hold(hashes);
  return ok({ index, records, hashes });
}

async function putInOrder(
  { store, stateDir }: StateOptions,
  { index, records }: Pick<State, 'index' | 'records'>,
): Promise<Result<void, StoreError>> {
  const bootFile = new BootFile(stateDir);
  const lastBoot = await bootFile.read();
  if (lastBoot.isErr()) return err(lastBoot.error);
  const wasLost = index.isUnfilled;
  const restored = wasLost ? await restoreIndex({ index, store, records, lastBoot: lastBoot.value }) : ok();
  if (restored.isErr()) return err(restored.error);
  const isOtherBoot = lastBoot.value !== bootId();
  const lost = index.forgetLost();
  const dropped = await dropLostCaches(store, { index, all: wasLost && isOtherBoot });
  if (dropped.isErr()) return err(dropped.error);
  const order = await reconcile(index, store);
  if (order.isErr()) return err(order.error);
  debug('opened %s: %o, %d steps were not durable', stateDir, order.value, lost.length);
  // What an earlier process deleted from the index must stay deleted, whatever is saved from now on.
  const flushed = await index.flush();
  if (flushed.isErr()) debug('the index is not flushed: %o', flushed.error);
  const noted = isOtherBoot ? await bootFile.write() : ok();
  // On a full disk it is as if the index might be lost once more: then less of it is trusted.
  if (noted.isErr()) debug('the boot is not noted: %o', noted.error);
  return ok();
}

/** Caches with a version that was published in an earlier boot, and never synced; `all` where nobody knows which. */
async function dropLostCaches(
  store: Store,
  { index, all }: { readonly index: IndexDb; readonly all: boolean },
): Promise<Result<void, StoreError>> {
  const marked = index.markedCaches('earlier');
  const listed = all ? await store.caches.list() : ok(marked);
  if (listed.isErr()) return err(listed.error);
  for (const id of listed.value) {
    const removed = await store.caches.remove(id);
    if (removed.isErr()) return err(removed.error);
    debug('dropped the cache %s, which was not durable', id);
  }
  index.unmarkCaches(marked);
  return ok();
}
