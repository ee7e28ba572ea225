import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/backend/clock.ts';
import type { CacheVolumes, Owner, StoreError, Volume } from '../../src/backend/index.ts';
import { CacheBroker } from '../../src/cache/cache-broker.ts';
import { CacheMarks } from '../../src/cache/cache-marks.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { err, failed, ok, toCacheId, toHostPath } from '../../src/index.ts';
import { memoryDisk, openMemoryStore } from '../../src/testing/index.ts';

const APT = toCacheId('apt');
const ME: Owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

describe('a cache that several steps used at the same time', () => {
  it('keeps what the first to finish wrote, and tells the others that they came too late', async () => {
    await using place = await openBroker();
    const [one, two] = [await place.checkOut(), await place.checkOut()];
    await place.write(one.volume, 'one');
    await place.write(two.volume, 'two');
    expect(expectOk(await two.finish())).toBe('published');
    expect(expectOk(await one.finish())).toBe('overtaken');
    expect(await place.newest()).toEqual(['two']);
  });

  it('is passed on from one step to the next', async () => {
    await using place = await openBroker();
    for (const name of ['one', 'two', 'three']) {
      await using copy = await place.checkOut();
      await place.write(copy.volume, name);
      expect(expectOk(await copy.finish())).toBe('published');
    }
    expect(await place.newest()).toEqual(['one', 'three', 'two']);
  });

  it('is published once by each copy', async () => {
    await using place = await openBroker();
    const copy = await place.checkOut();
    expect(expectOk(await copy.finish())).toBe('published');
    expect(expectOk(await copy.finish())).toBe('overtaken');
  });

  it('stays open for others when one has changed nothing', async () => {
    await using place = await openBroker({ changed: async () => ok(false) });
    const [one, two] = [await place.checkOut(), await place.checkOut()];
    expect(expectOk(await one.finish())).toBe('unchanged');
    place.wrap({});
    const three = await place.checkOut();
    await place.write(three.volume, 'three');
    expect(expectOk(await three.finish())).toBe('published');
    expect(expectOk(await two.finish())).toBe('overtaken');
    expect(await place.newest()).toEqual(['three']);
  });

  it('is another than one of another name', async () => {
    await using place = await openBroker();
    const [apt, npm] = [await place.checkOut(), await place.checkOut('npm')];
    expect(expectOk(await apt.finish())).toBe('published');
    expect(expectOk(await npm.finish())).toBe('published');
  });
});

describe('a cache that is removed', () => {
  it('is gone, and what running steps have of it is thrown away when they end', async () => {
    await using place = await openBroker();
    expectOk(await (await place.checkOut()).finish());
    const copy = await place.checkOut();
    expectOk(await place.broker.remove(APT));
    await place.write(copy.volume, 'late');
    expect(expectOk(await copy.finish())).toBe('overtaken');
    expect(expectOk(await place.caches.list())).toEqual([]);
    expect(await place.newest()).toEqual([]);
  });

  it('begins again with the next step', async () => {
    await using place = await openBroker();
    expectOk(await place.broker.remove(APT));
    expect(expectOk(await (await place.checkOut()).finish())).toBe('published');
  });

  it('tells what the store said against it', async () => {
    await using place = await openBroker();
    place.caches.remove = async () => err(failed('it is in use'));
    expect(expectErr(await place.broker.remove(APT))).toEqual(failed('it is in use'));
  });
});

describe('a copy of a cache', () => {
  it('that was not finished is thrown away', async () => {
    await using place = await openBroker();
    const before = await place.files();
    {
      await using copy = await place.checkOut();
      await place.write(copy.volume, 'one');
      expect(await place.files()).toBeGreaterThan(before);
    }
    expect(await place.files()).toBe(before);
    expect(await place.newest()).toEqual([]);
  });

  it('that cannot be taken is the failure of the store', async () => {
    await using place = await openBroker();
    place.caches.checkOut = async () => err(failed('no copy'));
    expect(expectErr(await place.broker.checkOut(APT, ME))).toEqual(failed('no copy'));
  });

  it('belongs to the owner that was asked for', async () => {
    await using place = await openBroker();
    const owners: Owner[] = [];
    const checkOut = place.caches.checkOut.bind(place.caches);
    place.caches.checkOut = async (id, owner) => {
      owners.push(owner);
      return checkOut(id, owner);
    };
    expectOk(await place.broker.checkOut(APT, { uid: 5, gid: 6 }));
    expect(owners).toEqual([{ uid: 5, gid: 6 }]);
  });

  it('that cannot be published is the failure of the store, and another may still be', async () => {
    await using place = await openBroker({ publish: async () => err(failed('no room')) });
    const one = await place.checkOut();
    place.wrap({});
    const two = await place.checkOut();
    await place.write(two.volume, 'two');
    expect(expectErr(await one.finish())).toEqual(failed('no room'));
    expect(expectOk(await two.finish())).toBe('published');
    expect(await place.newest()).toEqual(['two']);
  });

  it('of which nobody can say whether it was changed is not published', async () => {
    let published = false;
    await using place = await openBroker({
      changed: async () => err(failed('cannot look')),
      publish: async () => {
        published = true;
        return ok();
      },
    });
    expect(expectErr(await (await place.checkOut()).finish())).toEqual(failed('cannot look'));
    expect(published).toBe(false);
  });
});

describe('what the index knows of a cache', () => {
  it('is that it may change, from before a copy is out until the last copy has come back', async () => {
    await using place = await openBroker();
    {
      await using _first = await place.checkOut();
      {
        await using copy = await place.checkOut();
        expectOk(await copy.finish());
      }
      expect([place.isQuiet(), place.index.markedCaches('in this boot')]).toEqual([false, [APT]]);
    }
    expect([place.isQuiet(), place.index.markedCaches('in this boot')]).toEqual([true, []]);
  });

  it('is nothing where no copy could be taken', async () => {
    await using place = await openBroker();
    place.caches.checkOut = async () => err(failed('no copy'));
    expectErr(await place.broker.checkOut(APT, ME));
    expect(place.isQuiet()).toBe(true);
  });

  it('must be durable before a copy is published: one that came too early is not kept', async () => {
    await using place = await openBroker();
    place.index.flush = async () => err({ type: 'no-space', message: 'the disk is full' });
    const copy = await place.checkOut();
    await place.write(copy.volume, 'one');
    expect(expectOk(await copy.finish())).toBe('unmarked');
    expect(await place.newest()).toEqual([]);
  });
});

describe('a cache that the store cannot copy', () => {
  it('is dropped and begins anew, and what others have of it is thrown away', async () => {
    await using place = await openBroker();
    const before = await place.checkOut();
    expect(before.dropped).toBeUndefined();
    place.failOnce(failed('File name too long'));
    const copy = await place.checkOut();
    expect(copy.dropped).toEqual(failed('File name too long'));
    expect(expectOk(await before.finish())).toBe('overtaken');
    await place.write(copy.volume, 'anew');
    expect(expectOk(await copy.finish())).toBe('published');
    expect(await place.newest()).toEqual(['anew']);
    await copy[Symbol.asyncDispose]();
    await before[Symbol.asyncDispose]();
    expect(place.isQuiet()).toBe(true);
  });

  it.each<readonly [why: string, error: StoreError]>([
    ['the disk is full', { type: 'no-space', message: 'full' }],
    ['the store is busy', { type: 'busy', message: 'busy' }],
    ['the step was cancelled', { type: 'cancelled', reason: new Error('stop') }],
    ['the store is stuck', { type: 'stuck', message: 'stuck', needsReboot: false }],
    ['a program cannot be started', { ...failed('EMFILE', { exitCode: undefined }) }],
    ['a program was killed', { ...failed('was killed by SIGKILL', { exitCode: undefined }) }],
    ['there are too many open files', failed('open', Object.assign(new Error('open'), { code: 'EMFILE' }))],
    ['the disk became read-only', failed('mkdir', Object.assign(new Error('mkdir'), { code: 'EROFS' }))],
  ])('is kept where that says nothing of it: %s', async (_, error) => {
    await using place = await openBroker();
    const copy = await place.checkOut();
    await place.write(copy.volume, 'kept');
    expectOk(await copy.finish());
    place.failOnce(error);
    expect(expectErr(await place.broker.checkOut(APT, ME))).toEqual(error);
    expect(await place.newest()).toEqual(['kept']);
  });

  it('is the failure of the store, if it cannot be dropped', async () => {
    await using place = await openBroker();
    expectOk(await (await place.checkOut()).finish());
    place.failOnce(failed('no copy'));
    place.caches.remove = async () => err(failed('no removal'));
    expect(expectErr(await place.broker.checkOut(APT, ME))).toEqual(failed('no removal'));
  });
});

describe('the calls about one cache', () => {
  it('never overlap, and those about others go on meanwhile', async () => {
    await using place = await openBroker();
    const { most, of } = watchOverlaps(place.caches);
    const use = async (id: string): Promise<void> => {
      await using copy = await place.checkOut(id);
      await copy.finish();
    };
    const ids = Array.from({ length: 12 }, (_, i) => (i % 2 === 0 ? 'apt' : 'npm'));
    await Promise.all([...ids.map(use), place.broker.remove(APT)]);
    expect([of.get('apt'), of.get('npm')]).toEqual([1, 1]);
    expect(most()).toBe(2);
  });
});

type CopyMethods = Partial<Record<'changed' | 'publish', () => Promise<never>>>;

/** A broker over the caches of a memory store, whose copies may answer otherwise. */
async function openBroker(methods: { [K in keyof CopyMethods]?: () => Promise<unknown> } = {}) {
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
function watchOverlaps(caches: CacheVolumes): {
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
