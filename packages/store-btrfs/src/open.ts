import { realpath, statfs } from 'node:fs/promises';
import { release } from 'node:os';
import { dirname } from 'node:path';
import {
  attempt,
  attemptExisting,
  err,
  failed,
  type HostPath,
  type OwnerLock,
  ok,
  openStoreDirectory,
  type Result,
  type Store,
  type StoreError,
  toHostPath,
} from '@snapstep/core/backend';
import { BtrfsStore } from './btrfs-store.ts';
import { checkKernel } from './kernel.ts';
import { Layout } from './layout.ts';

export interface BtrfsStoreOptions {
  /** A directory of the store's own, on Btrfs. */
  readonly path: HostPath;
  /**
   * Whether a directory that is missing or empty becomes a new store. Default: true. Set it to false where
   * the store is known to exist: an empty directory is then the sign of a disk that is not mounted.
   */
  readonly create?: boolean;
  /** Whether kernels before 5.8, on which the file system may hang, are accepted. Default: false. */
  readonly allowOldKernel?: boolean;
  /** How long `reclaimed` waits for deleted space before it answers `busy`. Default: 10 minutes. */
  readonly reclaimTimeoutMs?: number;
}

/** `BTRFS_SUPER_MAGIC` of statfs(2). */
const BTRFS = 0x9123683e;

/**
 * Opens a store that keeps each snapshot as a read-only subvolume with one directory for each volume.
 *
 * A step costs two processes: one makes the snapshot, one sets it read-only. Whoever is not root needs
 * `sudo` without a password for `btrfs`. Subvolumes that a step makes inside its volumes are not part of
 * the snapshot: a child finds empty directories in their place.
 *
 * @returns `busy` if another process has it open; `failed` if the directory is not on Btrfs, or not a store
 * and not empty, or if the kernel is too old.
 */
export async function openBtrfsStore(options: BtrfsStoreOptions): Promise<Result<Store, StoreError>> {
  const kernel = options.allowOldKernel ? ok() : checkKernel(release());
  if (kernel.isErr()) return err(kernel.error);
  const disk = await checkDisk(options.path);
  if (disk.isErr()) return err(disk.error);
  const lock = await openStoreDirectory({
    path: options.path,
    kind: 'btrfs',
    create: options.create ?? true,
  });
  if (lock.isErr()) return err(lock.error);
  const store = await start(options, lock.value);
  if (store.isErr()) await lock.value[Symbol.asyncDispose]();
  return store;
}

async function start(options: BtrfsStoreOptions, lock: OwnerLock): Promise<Result<Store, StoreError>> {
  const path = await attempt(realpath(options.path));
  if (path.isErr()) return err(path.error);
  const layout = new Layout(toHostPath(path.value));
  const started = await layout.start();
  if (started.isErr()) return err(started.error);
  return ok(new BtrfsStore({ layout, lock, reclaimTimeoutMs: options.reclaimTimeoutMs ?? 600_000 }));
}

/** Looks at the directory, or, before it is made, at the one that it will be made in. */
async function checkDisk(path: string): Promise<Result<void, StoreError>> {
  const disk = await attemptExisting(statfs(path));
  if (disk.isErr()) return err(disk.error);
  if (disk.value === undefined) return checkDisk(dirname(path));
  if (disk.value.type === BTRFS) return ok();
  const what = 'make one with mkfs.btrfs (a file will do) and mount it there, or use a store for any disk';
  return err(failed(`${path} is not on a Btrfs file system: ${what}`));
}
