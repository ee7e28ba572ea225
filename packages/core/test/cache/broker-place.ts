import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expectOk, tempDir } from '@snapstep/test-support';
import { systemClock } from '../../src/backend/clock.ts';
import type { CacheVolumes, Owner, StoreError, Volume } from '../../src/backend/index.ts';
import { CacheBroker } from '../../src/cache/cache-broker.ts';
import { CacheMarks } from '../../src/cache/cache-marks.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { err, toCacheId, toHostPath } from '../../src/index.ts';
import { memoryDisk, openMemoryStore } from '../../src/testing/index.ts';

export const APT = toCacheId('apt');
export const ME: Owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

type CopyMethods = Partial<Record<'changed' | 'publish', () => Promise<never>>>;

/** A broker over the caches of a memory store, whose copies may answer otherwise. */
export async function openBroker(methods: { [K in keyof CopyMethods]?: () => Promise<unknown> } = {}) {
  const disk = await memoryDisk();
  const store = expectOk(await openMemoryStore(disk));
  const { caches } = store;
  const checkOut = caches.checkOut.bind(caches);
  let instead = methods;
  const failures: StoreError[] = [];
  caches.checkOut = async (id, owner) => {
    const now = instead;
    const failure = failures.pop();
    if (failure) return err(failure);
    return (await checkOut(id, owner)).map((copy) => Object.assign(copy, now));
  };
  const dir = await tempDir();
  const index = IndexDb.open(toHostPath(dir.path), systemClock);
  const marks = new CacheMarks(index, () => {});
  const broker = new CacheBroker(caches, marks);
  const inVolume = async <T>(volume: Volume, work: (path: string) => Promise<T>): Promise<T> => {
    await using mounted = expectOk(await volume.mount());
    return await work(mounted.path);
  };
  return {
    broker,
    caches,
    index,
    /** Whether the index can forget, after a sync, that caches may change: no copy of one is out. */
    isQuiet: (): boolean => {
      marks.beginSync()();
      return marks.isEmpty;
    },
    failOnce: (error: StoreError): void => void failures.push(error),
    wrap: (other: typeof methods): void => {
      instead = other;
    },
    checkOut: async (id = 'apt') => expectOk(await broker.checkOut(toCacheId(id), ME)),
    write: (volume: Volume, name: string) => inVolume(volume, (path) => writeFile(join(path, name), name)),
    /** What the next step will find. */
    newest: async (): Promise<readonly string[]> => {
      await using copy = expectOk(await checkOut(APT, ME));
      return await inVolume(copy.volume, async (path) => (await readdir(path)).sort());
    },
    /** How much the store holds. */
    files: async (): Promise<number> => (await readdir(disk.path, { recursive: true })).length,
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
      await store[Symbol.asyncDispose]();
      await disk[Symbol.asyncDispose]();
    },
  };
}

/** How many calls about a cache, and about all of them, were going on at once at the most. */
export function watchOverlaps(caches: CacheVolumes): {
  readonly most: () => number;
  readonly of: Map<string, number>;
} {
  const [now, of] = [new Map<string, number>(), new Map<string, number>()];
  let [all, most] = [0, 0];
  const during = async <T>(id: string, work: () => PromiseLike<T>): Promise<T> => {
    now.set(id, (now.get(id) ?? 0) + 1);
    of.set(id, Math.max(of.get(id) ?? 0, now.get(id) ?? 0));
    all += 1;
    most = Math.max(most, all);
    await setImmediate();
    const result = await work();
    now.set(id, (now.get(id) ?? 0) - 1);
    all -= 1;
    return result;
  };
  const [checkOut, remove] = [caches.checkOut.bind(caches), caches.remove.bind(caches)];
  caches.remove = (id) => during(id, async () => remove(id));
  caches.checkOut = (id, owner) =>
    during(id, async () =>
      (await checkOut(id, owner)).map((copy) => {
        const { changed, publish } = copy;
        const dispose = copy[Symbol.asyncDispose].bind(copy);
        return Object.assign(copy, {
          changed: () => during(id, async () => changed()),
          publish: () => during(id, async () => publish()),
          [Symbol.asyncDispose]: () => during(id, dispose),
        });
      }),
    );
  return { most: () => most, of };
}
