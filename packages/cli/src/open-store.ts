import { err, ok, type Result, type Store, type StoreError, toHostPath } from '@snapstep/core';
import { openFailure } from './build-failure.ts';
import { type Failure, usageFailure } from './failure.ts';
import type { StoreLocation } from './store-location.ts';

/** Opens the store at a place that the user named; `busy` names the process that has it. */
export async function openStore(location: StoreLocation): Promise<Result<Store, Failure>> {
  const named = await checkName(location);
  if (named.isErr()) return err(named.error);
  const store = await openByKind(location);
  return store.isErr() ? err(openFailure(store.error)) : ok(store.value);
}

/** What no dataset can be called is the user's mistake, and not that of the pool. */
async function checkName(location: StoreLocation): Promise<Result<void, Failure>> {
  if (location.kind !== 'zfs') return ok();
  const { isDatasetName } = await import('@snapstep/store-zfs');
  if (isDatasetName(location.dataset)) return ok();
  return err(usageFailure(`--store zfs:${location.dataset}: this is not the name of a dataset`));
}

/** Only the package that is used is loaded. */
async function openByKind(location: StoreLocation): Promise<Result<Store, StoreError>> {
  switch (location.kind) {
    case 'rsync': {
      const { openRsyncStore } = await import('@snapstep/store-rsync');
      return openRsyncStore({ path: toHostPath(location.path) });
    }
    case 'btrfs': {
      const { openBtrfsStore } = await import('@snapstep/store-btrfs');
      return openBtrfsStore({ path: toHostPath(location.path) });
    }
    case 'overlayfs': {
      const { openOverlayfsStore } = await import('@snapstep/store-overlayfs');
      return openOverlayfsStore({ path: toHostPath(location.path) });
    }
    case 'zfs': {
      const { openZfsStore } = await import('@snapstep/store-zfs');
      return openZfsStore({ dataset: location.dataset });
    }
  }
}
