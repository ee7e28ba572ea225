import { err, ok, type Result, type Store, type StoreError, toHostPath } from '@snapstep/core';
import { storeFailure } from './build-failure.ts';
import type { Failure } from './failure.ts';
import type { StoreLocation } from './store-location.ts';

/** Opens the store at a place that the user named; `busy` names the process that has it. */
export async function openStore(location: StoreLocation): Promise<Result<Store, Failure>> {
  const store = await openByKind(location);
  return store.isErr() ? err(storeFailure(store.error)) : ok(store.value);
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
