import { realpath } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  err,
  type HostPath,
  makePrivateDirectory,
  type OwnerLock,
  ok,
  openStoreDirectory,
  type Result,
  SnapshotDirectory,
  type Store,
  type StoreError,
  Workspace,
} from '@snapstep/core/backend';
import { type CopyMethod, chooseCopyMethod, copyTree } from './copy-method.ts';
import { checkRsync } from './rsync.ts';
import { RsyncStore, type RsyncStoreParts } from './rsync-store.ts';

export interface RsyncStoreOptions {
  /** A directory of the store's own. All of it must be one file system. */
  readonly path: HostPath;
  /** How snapshots are copied; see {@link CopyMethod}. Default: `auto`, the fastest that works there. */
  readonly method?: CopyMethod | 'auto';
  /**
   * Whether a directory that is missing or empty becomes a new store. Default: true. Set it to false where
   * the store is known to exist: an empty directory is then the sign of a disk that is not mounted, and
   * opening fails before the disk below is filled.
   */
  readonly create?: boolean;
  /**
   * Whether a file that a step left exactly as it was (content, owner, mode, times, attributes) is kept once
   * for the parent and the child, as two names of one file. Saves space where nothing can be shared by
   * reflinks, and costs the reading of both snapshots at each commit. Needs rsync. Default: false.
   */
  readonly linkIdentical?: boolean;
}

/**
 * Opens a store that keeps each snapshot as a directory, and works on every disk.
 *
 * Saved snapshots are ordinary files: whoever reads one must not write to it. A writable copy never shares
 * a file with a saved snapshot (blocks it may share: those the kernel separates at the first write).
 * Paths inside a volume may be of any length where GNU cp is installed, and else of about 3,900 bytes.
 *
 * @returns `busy` if another process has it open; `failed` if the directory is not a store and not empty.
 */
export async function openRsyncStore(options: RsyncStoreOptions): Promise<Result<Store, StoreError>> {
  const lock = await openStoreDirectory({
    path: options.path,
    kind: 'rsync',
    create: options.create ?? true,
  });
  if (lock.isErr()) return err(lock.error);
  const store = await start(options, lock.value);
  if (store.isErr()) await lock.value[Symbol.asyncDispose]();
  return store;
}

async function start(options: RsyncStoreOptions, lock: OwnerLock): Promise<Result<Store, StoreError>> {
  const path = await attempt(realpath(options.path));
  if (path.isErr()) return err(path.error);
  const places = await makePlaces(path.value);
  if (places.isErr()) return err(places.error);
  const method = await probe(options, places.value.workspace);
  if (method.isErr()) return err(method.error);
  const linking = options.linkIdentical ? await checkRsync() : ok();
  if (linking.isErr()) return err(linking.error);
  const copy = copyTree[method.value];
  return ok(new RsyncStore({ ...places.value, lock, copy, linkIdentical: options.linkIdentical ?? false }));
}

/** All of it is one file system, so that a rename publishes. */
async function makePlaces(
  path: string,
): Promise<Result<Pick<RsyncStoreParts, 'snapshots' | 'cacheDirectory' | 'workspace'>, StoreError>> {
  const places = {
    snapshots: new SnapshotDirectory(join(path, 'result')),
    cacheDirectory: join(path, 'cache'),
    workspace: new Workspace({ path: join(path, 'temporary') }),
  };
  for (const directory of [places.snapshots.path, places.cacheDirectory]) {
    const made = await makePrivateDirectory(directory);
    if (made.isErr()) return err(made.error);
  }
  return (await places.workspace.open()).map(() => places);
}

async function probe(
  options: RsyncStoreOptions,
  workspace: Workspace,
): Promise<Result<CopyMethod, StoreError>> {
  const directory = workspace.fresh();
  const method = await chooseCopyMethod(options.method ?? 'auto', directory);
  const removed = await workspace.discard(directory);
  return removed.isErr() ? err(removed.error) : method;
}
