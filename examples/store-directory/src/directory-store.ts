import { mkdir, readdir, statfs } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ActiveSnapshot,
  attempt,
  type CacheId,
  type CacheVolumes,
  directoryVolume,
  err,
  escapeName,
  failed,
  type HostPath,
  isStepKey,
  type OwnerLock,
  ok,
  openStoreDirectory,
  type PrepareRequest,
  type Result,
  type StepKey,
  type Store,
  type StoreError,
  toCacheId,
  toVolumeName,
  unescapeName,
  volumesIn,
} from '@snapstep/core/backend';
import { type Draft, Drafts } from './drafts.ts';
import { exists, removeTree } from './trees.ts';

/** Opens a store that keeps every snapshot as a directory of its own, copied whole. */
export async function openDirectoryStore(path: HostPath): Promise<Result<Store, StoreError>> {
  const lock = await openStoreDirectory({ path, kind: 'example', create: true });
  if (lock.isErr()) return err(lock.error);
  const ready = await start(path);
  if (ready.isOk()) return ok(directoryStore(path, lock.value));
  await lock.value[Symbol.asyncDispose]();
  return err(ready.error);
}

/** Wipes what was active when the last process died: everything unfinished is in one directory. */
async function start(path: HostPath): Promise<Result<void, StoreError>> {
  const wiped = await removeTree(join(path, 'drafts'));
  if (wiped.isErr()) return wiped;
  for (const name of ['snapshots', 'caches', 'drafts']) {
    const made = await attempt(mkdir(join(path, name), { recursive: true, mode: 0o700 }));
    if (made.isErr()) return err(made.error);
  }
  return ok();
}

function directoryStore(path: HostPath, lock: OwnerLock): Store {
  const drafts = new Drafts(join(path, 'drafts'));
  const pathOf = (key: StepKey): string => join(path, 'snapshots', key);
  return {
    name: 'directory',
    caches: directoryCaches(join(path, 'caches'), drafts),

    async lookup(key) {
      const found = await exists(pathOf(key));
      if (found.isErr()) return err(found.error);
      return found.value
        ? (await volumesIn(pathOf(key))).map((volumes) => ({ key, volumes }))
        : ok(undefined);
    },

    async prepare({ key, from, signal }) {
      const draft = await startFrom({ from, signal }, { drafts, pathOf });
      return draft.isOk() ? activeSnapshot(draft.value, { key, target: pathOf(key) }) : err(draft.error);
    },

    remove: (key) => drafts.discard(pathOf(key)),
    reclaimed: async () => ok(),

    async list() {
      return (await attempt(readdir(join(path, 'snapshots')))).map((names) => names.filter(isStepKey));
    },

    async usage() {
      return (await attempt(statfs(path))).map(({ bsize, blocks, bfree, bavail }) => {
        const used = (blocks - bfree) * bsize;
        return [{ axis: 'bytes', used, total: used + bavail * bsize }];
      });
    },

    [Symbol.asyncDispose]: () => lock[Symbol.asyncDispose](),
  };
}

async function startFrom(
  { from, signal }: Pick<PrepareRequest, 'from' | 'signal'>,
  { drafts, pathOf }: { readonly drafts: Drafts; readonly pathOf: (key: StepKey) => string },
): Promise<Result<Draft, StoreError>> {
  if ('baseImage' in from) return err(failed('this store holds no base images of its own'));
  if ('empty' in from) return drafts.empty(from.empty);
  const key = from.snapshot;
  const found = await exists(pathOf(key));
  if (found.isErr()) return err(found.error);
  if (!found.value) return err({ type: 'not-found', key, message: `there is no snapshot ${key}` });
  return drafts.copy(pathOf(key), signal);
}

async function activeSnapshot(
  draft: Draft,
  { key, target }: { readonly key: StepKey; readonly target: string },
): Promise<Result<ActiveSnapshot, StoreError>> {
  return (await volumesIn(draft.path)).map((volumes) => ({
    volumes,
    async commit() {
      const published = await draft.publish(target);
      if (published.isErr()) return err(published.error);
      return (await volumesIn(target)).map((saved) => ({ key, volumes: saved }));
    },
    [Symbol.asyncDispose]: () => draft[Symbol.asyncDispose](),
  }));
}

function directoryCaches(directory: string, drafts: Drafts): CacheVolumes {
  const pathOf = (id: CacheId): string => join(directory, escapeName(id));
  const cache = toVolumeName('cache');
  return {
    async checkOut(id, owner) {
      const found = await exists(pathOf(id));
      if (found.isErr()) return err(found.error);
      const draft = await (found.value ? drafts.copy(pathOf(id)) : drafts.empty([cache], owner));
      return draft.map((made) => ({
        volume: directoryVolume(cache, join(made.path, cache)),
        changed: async () => ok(true),
        publish: () => made.publish(pathOf(id)),
        [Symbol.asyncDispose]: () => made[Symbol.asyncDispose](),
      }));
    },

    remove: (id) => drafts.discard(pathOf(id)),

    async list() {
      const names = await attempt(readdir(directory));
      return names.map((found) =>
        found
          .map(unescapeName)
          .filter((id) => id !== undefined)
          .map(toCacheId),
      );
    },
  };
}
