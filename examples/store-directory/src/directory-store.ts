import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  copyTree,
  DirectoryCaches,
  diskUsage,
  err,
  failed,
  type HostPath,
  makeEmptyVolumes,
  makePrivateDirectory,
  type OwnerLock,
  ok,
  openStoreDirectory,
  type PrepareRequest,
  type Result,
  SnapshotDirectory,
  type Store,
  type StoreError,
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

    lookup: (key) => snapshots.lookup(key),

    async prepare({ key, from, signal }) {
      const path = workspace.fresh();
      const discard = (gone: string) => workspace.discard(gone);
      const filled = await fill(path, { from, signal, snapshots });
      const active = filled.isOk() ? await snapshots.activate({ key, path, discard }) : err(filled.error);
      if (active.isErr()) await discard(path);
      return active;
    },

    remove: (key, signal) => workspace.discard(snapshots.pathOf(key), signal),
    reclaimed: (signal) => workspace.finishDiscards(signal),
    list: () => snapshots.list(),
    usage: () => diskUsage(snapshots.path),
    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };
}

/** Makes a directory that a step can start in. */
async function fill(
  path: string,
  { from, signal, snapshots }: Pick<PrepareRequest, 'from' | 'signal'> & Pick<Places, 'snapshots'>,
): Promise<Result<void, StoreError>> {
  if ('baseImage' in from) return err(failed('this store holds no base images of its own'));
  if ('empty' in from) {
    const made = await attempt(mkdir(path));
    return made.isErr() ? made : makeEmptyVolumes(path, from.empty);
  }
  const parent = await snapshots.parent(from.snapshot);
  return parent.isErr() ? err(parent.error) : copyTree(parent.value, path, { signal });
}
