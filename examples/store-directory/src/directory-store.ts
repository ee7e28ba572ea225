import { join } from 'node:path';
import {
  copyTree,
  DirectoryCaches,
  diskUsage,
  err,
  type HostPath,
  makePrivateDirectory,
  type OwnerLock,
  ok,
  openStoreDirectory,
  pairingIn,
  type Result,
  SnapshotDirectory,
  type Store,
  type StoreError,
  syncDisk,
  Workspace,
} from '@snapstep/core/backend';

/** Opens a store that keeps every snapshot as a directory of its own, copied whole. */
export async function openDirectoryStore(path: HostPath): Promise<Result<Store, StoreError>> {
  const lock = await openStoreDirectory({ path, kind: 'example', create: true });
  if (lock.isErr()) return err(lock.error);
  const places = {
    snapshots: new SnapshotDirectory(join(path, 'snapshots')),
    caches: join(path, 'caches'),
    workspace: new Workspace({ path: join(path, 'work') }),
  };
  const ready = await start(places);
  if (ready.isOk()) return ok(directoryStore(places, lock.value));
  await lock.value[Symbol.asyncDispose]();
  return err(ready.error);
}

/** All on one file system: a rename publishes. */
interface Places {
  readonly snapshots: SnapshotDirectory;
  readonly caches: string;
  /** What is not saved yet. Opening it throws away what was active when the last process died. */
  readonly workspace: Workspace;
}

async function start({ snapshots, caches, workspace }: Places): Promise<Result<void, StoreError>> {
  for (const directory of [snapshots.path, caches]) {
    const made = await makePrivateDirectory(directory);
    if (made.isErr()) return made;
  }
  return workspace.open();
}

function directoryStore(places: Places, lock: OwnerLock): Store {
  const { snapshots, workspace } = places;
  return {
    name: 'directory',
    caches: new DirectoryCaches({ directory: places.caches, workspace, copy: copyTree }),
    pairing: pairingIn(lock.directory),

    lookup: (key) => snapshots.lookup(key),

    async prepare({ key, from, signal }) {
      const path = workspace.fresh();
      const discard = (gone: string) => workspace.discard(gone);
      const filled = await snapshots.fill(path, from, {
        copy: (parent, to) => copyTree(parent, to, { signal }),
      });
      const active = filled.isOk() ? await snapshots.activate({ key, path, discard }) : err(filled.error);
      if (active.isErr()) await discard(path);
      return active;
    },

    remove: (key, signal) => workspace.discard(snapshots.pathOf(key), signal),
    reclaimed: (signal) => workspace.finishDiscards(signal),
    list: () => snapshots.list(),
    usage: () => diskUsage(snapshots.path),
    sync: () => syncDisk(snapshots.path),
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };
}
