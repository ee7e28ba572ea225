import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { IndexDb } from '../../src/cache/index-db.ts';
import { Leases } from '../../src/cache/leases.ts';
import { prune, type RoomPolicy, removeWithDescendants, type Saved } from '../../src/cache/prune.ts';
import { StepTable } from '../../src/cache/step-table.ts';
import {
  err,
  failed,
  ok,
  type StepKey,
  type StoreError,
  toHostPath,
  type UsageAxis,
} from '../../src/index.ts';
import { memoryStore, virtualClock } from '../../src/testing/index.ts';
import { key } from './keys.ts';

const HOUR = 3_600_000;
const BROKEN = failed('the device is busy');

describe('a prune', () => {
  it('takes, without a policy, all that is not in use, children before their parents', async () => {
    await using place = await openPlace();
    place.save([1], [2, 1], [3, 2], [4]);
    expect(await place.prune({})).toEqual([3, 2, 1, 4]);
    expect(place.kept()).toEqual([]);
  });

  it('takes what was used least recently first, and no more than the limit', async () => {
    await using place = await openPlace();
    place.save([1], [2], [3], [4]);
    place.saved.index.touch([key(1)]);
    expect(await place.prune({ limit: 2 })).toEqual([2, 3]);
    expect(await place.prune({ limit: 0 })).toEqual([]);
    expect(place.kept()).toEqual([4, 1]);
  });

  it('takes, by age, what was not used since, and not what was used at that moment', async () => {
    await using place = await openPlace();
    place.save([1]);
    const then = new Date(place.clock.now());
    await place.clock.advance(HOUR);
    place.save([2]);
    expect(await place.prune({ unusedSince: then })).toEqual([]);
    expect(await place.prune({ unusedSince: new Date(then.getTime() + 1) })).toEqual([1]);
  });

  it('takes, by number, so many that no more than that are left', async () => {
    await using place = await openPlace();
    place.save([1], [2], [3]);
    expect(await place.prune({ maxObjects: 3 })).toEqual([]);
    expect(await place.prune({ maxObjects: 1 })).toEqual([1, 2]);
    expect(await place.prune({ maxObjects: 0 })).toEqual([3]);
  });

  it('takes, for space, until as many bytes are free, and not one step more', async () => {
    await using place = await openPlace({
      usage: (steps) => [{ axis: 'bytes', used: steps * 100, total: 1000 }],
    });
    place.save([1], [2], [3], [4]);
    expect(await place.prune({ keepFreeBytes: 600 })).toEqual([]);
    expect(await place.prune({ keepFreeBytes: 601 })).toEqual([1]);
    expect(await place.prune({ keepFreeBytes: 0 })).toEqual([]);
  });

  it('takes what is too old or too much, where both are asked for', async () => {
    await using place = await openPlace({
      usage: (steps) => [{ axis: 'bytes', used: steps * 100, total: 1000 }],
    });
    place.save([1], [2]);
    await place.clock.advance(HOUR);
    place.save([3], [4], [5]);
    const unusedSince = new Date(place.clock.now());
    expect(await place.prune({ unusedSince, keepFreeBytes: 500 })).toEqual([1, 2]);
    expect(await place.prune({ unusedSince, maxObjects: 2 })).toEqual([3]);
    expect(await place.prune({ maxObjects: 3, keepFreeBytes: 900 })).toEqual([4]);
  });

  it.each<UsageAxis['axis']>(['bytes', 'inodes', 'metadata-bytes', 'objects'])(
    'for a part that shall be free looks at %s',
    async (axis) => {
      const others: UsageAxis[] = [
        { axis: 'bytes', used: 0, total: 1000 },
        { axis: 'mounts', used: 10, total: 10 },
        { axis: 'objects', used: 10 },
      ];
      const usage = (steps: number): UsageAxis[] => [
        ...others.filter((other) => other.axis !== axis),
        { axis, used: 60 + steps * 10, total: 100 },
      ];
      await using place = await openPlace({ usage });
      place.save([1], [2], [3]);
      expect(await place.prune({ keepFreePart: 0.1 })).toEqual([]);
      expect(await place.prune({ keepFreePart: 0.11 })).toEqual([1]);
    },
  );

  it('keeps what is leased, and what that is built on', async () => {
    await using place = await openPlace();
    place.save([1], [2, 1], [3, 2], [4]);
    const lease = place.leases.take(key(2));
    expect(await place.prune({})).toEqual([3, 4]);
    lease[Symbol.dispose]();
    expect(await place.prune({})).toEqual([2, 1]);
  });

  it('keeps what runs, and what is being removed by somebody else', async () => {
    await using place = await openPlace();
    place.save([1], [2], [3]);
    const end = place.run(key(1));
    const removal = Promise.withResolvers<void>();
    const reserved = place.saved.steps.reserve([key(2)], () => removal.promise);
    expect(await place.prune({})).toEqual([3]);
    removal.resolve();
    await reserved;
    await end();
    expect(await place.prune({})).toEqual([1, 2]);
  });

  it('keeps what is about to be saved, and what that is built on', async () => {
    await using place = await openPlace();
    place.save([1]);
    place.saved.index.begin(key(2), { parent: key(1), op: 'run', title: 'run' });
    expect(await place.prune({})).toEqual([]);
    expect(place.kept()).toEqual([1]);
  });

  it('looks at the others when one cannot be removed, and fails with the first failure at the end', async () => {
    await using place = await openPlace();
    place.save([1], [2], [3]);
    const refused: number[] = [];
    place.store.remove = async (at) => {
      const number = numberOf(at);
      if (number === 3) return ok();
      refused.push(number);
      return err(failed(`${number} is busy`));
    };
    const told: number[] = [];
    const result = await prune(place.saved, { onRemoved: (at) => void told.push(numberOf(at)) });
    expect(expectErr(result)).toEqual(failed('1 is busy'));
    expect([refused, told]).toEqual([[1, 2], [3]]);
    expect([...place.saved.index.states()].map(([at, state]) => [numberOf(at), state])).toEqual([
      [1, 'removing'],
      [2, 'removing'],
    ]);
  });

  it('tells of each step when it is gone, after whoever keeps something beside it', async () => {
    const order: string[] = [];
    await using place = await openPlace({
      onRemoved: async (at) => {
        await Promise.resolve();
        expect(place.saved.index.has(at)).toBe(true);
        order.push(`beside ${numberOf(at)}`);
      },
    });
    place.save([1], [2]);
    await prune(place.saved, { onRemoved: (at) => void order.push(`gone ${numberOf(at)}`) });
    expect(order).toEqual(['beside 1', 'gone 1', 'beside 2', 'gone 2']);
  });

  it('lets nobody use a step while it is being removed', async () => {
    await using place = await openPlace();
    place.save([1]);
    const seen: unknown[] = [];
    place.store.remove = async (at) => {
      seen.push(place.saved.index.isSaved(at), place.saved.steps.isReserved(at));
      return ok();
    };
    await place.prune({});
    expect(seen).toEqual([false, true]);
    expect(place.saved.steps.isReserved(key(1))).toBe(false);
  });

  it('waits for freed space after each step only where it looks at the space, and once at the end', async () => {
    await using place = await openPlace({
      usage: (steps) => [{ axis: 'bytes', used: steps * 100, total: 1000 }],
    });
    const waits = place.countReclaims();
    place.save([1], [2], [3], [4], [5], [6]);
    await place.prune({ limit: 2 });
    expect(waits()).toBe(1);
    await place.prune({ keepFreeBytes: 800 });
    expect(waits()).toBe(1 + 2 + 1);
    await place.prune({ keepFreePart: 0.9 });
    expect(waits()).toBe(4 + 1 + 1);
    await place.prune({ maxObjects: 1 });
    expect(waits()).toBe(6);
  });

  it('stops when it is aborted, and hands its signal to the store', async () => {
    await using place = await openPlace();
    place.save([1], [2]);
    const stop = new AbortController();
    const signals: unknown[] = [];
    const [remove, reclaimed] = [
      place.store.remove.bind(place.store),
      place.store.reclaimed.bind(place.store),
    ];
    place.store.remove = (at, signal) => {
      signals.push(signal);
      return remove(at, signal);
    };
    place.store.reclaimed = (signal) => {
      signals.push(signal);
      return reclaimed(signal);
    };
    const onRemoved = (): void => stop.abort(new Error('enough'));
    expect(expectErr(await prune(place.saved, { onRemoved }, stop.signal))).toEqual({
      type: 'cancelled',
      reason: new Error('enough'),
    });
    expect([place.kept(), signals]).toEqual([[2], [stop.signal]]);
    const { signal } = new AbortController();
    await prune(place.saved, { keepFreePart: 1 }, signal);
    expect(signals.slice(1)).toEqual([signal, signal, signal]);
  });

  it.each<readonly [what: 'usage' | 'reclaimed', policy: RoomPolicy, kept: readonly number[]]>([
    ['usage', { keepFreeBytes: 1 }, [1]],
    ['usage', { keepFreePart: 1 }, [1]],
    ['reclaimed', { keepFreePart: 1 }, []],
    ['reclaimed', {}, []],
  ])('fails where the store cannot tell of its %s', async (what, policy, kept) => {
    await using place = await openPlace({ usage: () => [{ axis: 'bytes', used: 1000, total: 1000 }] });
    place.save([1]);
    place.store[what] = async (): Promise<never> => err(BROKEN) as never;
    expect(expectErr(await prune(place.saved, policy))).toEqual(BROKEN);
    expect(place.kept()).toEqual(kept);
  });

  it.each<readonly [usage: UsageAxis[]]>([
    [[]],
    [[{ axis: 'bytes', used: 10 }]],
    [[{ axis: 'inodes', used: 1, total: 2 }]],
  ])('for free bytes fails where the store does not know how many there are: %j', async (usage) => {
    await using place = await openPlace({ usage: () => usage });
    place.save([1]);
    expect(expectErr(await prune(place.saved, { keepFreeBytes: 1 }))).toEqual(
      failed('the memory store does not tell how many bytes are free: prune by age or by number'),
    );
  });

  it('does as a plain reading of its policy says, for any history', async () => {
    await using place = await openPlace({
      usage: (steps) => [{ axis: 'bytes', used: steps * 10, total: 100 }],
    });
    await fc.assert(
      fc.asyncProperty(history, policy, async (steps, wanted) => {
        const model = new Model();
        const leases = [];
        for (const [i, { parent, leased, hours, used }] of steps.entries()) {
          const [number, above] = [i + 1, parent < i ? parent + 1 : undefined];
          place.save([number, above]);
          model.save(number, { parent: above, at: place.clock.now() });
          if (leased) leases.push(place.leases.take(key(number)));
          if (leased) model.inUse.add(number);
          await place.clock.advance(hours * HOUR);
          const again = (used % number) + 1;
          place.saved.index.touch([key(again)]);
          model.touch(again, place.clock.now());
        }
        const { hoursUnused, ...rest } = wanted;
        const since = place.clock.now() - (hoursUnused ?? 0) * HOUR;
        const asked = { ...rest, ...(hoursUnused === undefined ? {} : { unusedSince: new Date(since) }) };
        expect(await place.prune(asked)).toEqual(model.prune(asked));
        expect(place.kept().toSorted()).toEqual(model.kept().toSorted());
        for (const lease of leases) lease[Symbol.dispose]();
        await place.prune({});
        expect(place.kept()).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });
});

describe('removing a step', () => {
  it('takes what was built on it as well, the newest generation first', async () => {
    await using place = await openPlace();
    place.save([1], [2, 1], [3, 1], [4, 2], [5]);
    const waits = place.countReclaims();
    expect(expectOk(await removeWithDescendants(place.saved, key(1))).map(numberOf)).toEqual([4, 3, 2, 1]);
    expect([place.kept(), waits()]).toEqual([[5], 1]);
  });

  it.each([1, 2, 4])('does nothing where one of them is in use', async (used) => {
    await using place = await openPlace();
    place.save([1], [2, 1], [4, 2]);
    const lease = place.leases.take(key(used));
    const error = expectErr(await removeWithDescendants(place.saved, key(1)));
    expect(error).toEqual({ type: 'busy', message: `the step ${key(used)} is in use` });
    expect(place.kept()).toEqual([1, 2, 4]);
    lease[Symbol.dispose]();
  });

  it('leaves those that it did not come to as they were, when one cannot be removed', async () => {
    await using place = await openPlace();
    place.save([1], [2, 1], [3, 2]);
    const remove = place.store.remove.bind(place.store);
    place.store.remove = async (at, signal) => (at === key(2) ? err(BROKEN) : remove(at, signal));
    expect(expectErr(await removeWithDescendants(place.saved, key(1)))).toEqual(BROKEN);
    expect([...place.saved.index.states()].map(([at, state]) => [numberOf(at), state])).toEqual([
      [1, 'saved'],
      [2, 'removing'],
    ]);
  });

  it('does not call a step saved that was half removed before', async () => {
    await using place = await openPlace();
    place.save([1], [2, 1]);
    place.saved.index.removing(key(1));
    place.store.remove = async () => err(BROKEN);
    expectErr(await removeWithDescendants(place.saved, key(1)));
    expect(place.saved.index.isSaved(key(1))).toBe(false);
  });

  it('does nothing where it was aborted before', async () => {
    await using place = await openPlace();
    place.save([1]);
    const signal = AbortSignal.abort(new Error('no'));
    expect(expectErr(await removeWithDescendants(place.saved, key(1), signal))).toEqual({
      type: 'cancelled',
      reason: new Error('no'),
    });
    expect(place.kept()).toEqual([1]);
  });

  it('fails where the freed space does not show, though the step is gone', async () => {
    await using place = await openPlace();
    place.save([1]);
    const { signal } = new AbortController();
    place.store.reclaimed = async (given) => err(given === signal ? BROKEN : failed('no signal'));
    expect(expectErr(await removeWithDescendants(place.saved, key(1), signal))).toEqual(BROKEN);
    expect(place.kept()).toEqual([]);
  });
});

const history = fc.array(
  fc.record({ parent: fc.nat(8), leased: fc.boolean(), hours: fc.nat(3), used: fc.nat(8) }),
  { minLength: 2, maxLength: 8, size: 'max' },
);
const policy = fc.record(
  {
    hoursUnused: fc.nat(8),
    keepFreeBytes: fc.integer({ min: 0, max: 100 }),
    maxObjects: fc.nat(8),
    limit: fc.nat(8),
  },
  { requiredKeys: [] },
);

interface ModelStep {
  readonly parent: number | undefined;
  at: number;
  order: number;
}

/** What a policy says, read plainly. */
class Model {
  readonly inUse = new Set<number>();
  readonly #steps = new Map<number, ModelStep>();
  #order = 0;

  save(number: number, { parent, at }: { readonly parent: number | undefined; readonly at: number }): void {
    this.#steps.set(number, { parent, at, order: this.#order++ });
  }

  touch(number: number, at: number): void {
    const step = this.#steps.get(number);
    if (step) Object.assign(step, { at, order: this.#order++ });
  }

  kept(): number[] {
    return [...this.#steps.keys()];
  }

  prune(policy: RoomPolicy): number[] {
    const removed: number[] = [];
    while (removed.length < (policy.limit ?? 100)) {
      const leaves = [...this.#steps].filter(
        ([number, step]) =>
          !this.#isBuiltUpon(number) && !this.inUse.has(number) && this.#mayGo(step, policy),
      );
      const [oldest] = leaves.sort(([, a], [, b]) => a.order - b.order);
      if (oldest === undefined) break;
      this.#steps.delete(oldest[0]);
      removed.push(oldest[0]);
    }
    return removed;
  }

  #isBuiltUpon(number: number): boolean {
    return [...this.#steps.values()].some(({ parent }) => parent === number);
  }

  #mayGo({ at }: ModelStep, { unusedSince, keepFreeBytes, maxObjects }: RoomPolicy): boolean {
    const count = this.#steps.size;
    if (unusedSince !== undefined && at < unusedSince.getTime()) return true;
    if (maxObjects !== undefined && count > maxObjects) return true;
    if (keepFreeBytes !== undefined && 100 - count * 10 < keepFreeBytes) return true;
    return unusedSince === undefined && maxObjects === undefined && keepFreeBytes === undefined;
  }
}

type Usage = (steps: number) => UsageAxis[];

/** An index with steps that have numbers, over a memory store that need not hold them. */
async function openPlace(
  options: { readonly usage?: Usage; readonly onRemoved?: (at: StepKey) => Promise<void> } = {},
) {
  const [dir, store, clock, leases] = [await tempDir(), await memoryStore(), virtualClock(), new Leases()];
  const index = IndexDb.open(toHostPath(dir.path), clock);
  const steps = new StepTable<StoreError>({ leases, beginLog: () => noLog });
  const { usage, onRemoved = async () => {} } = options;
  if (usage) store.usage = async () => ok(usage(index.countSaved()));
  const saved: Saved = { index, store, leases, steps, onRemoved };
  return {
    saved,
    store,
    clock,
    leases,
    /** Each with the number of its parent, if it has one. */
    save: (...numbers: readonly (readonly [number: number, parent?: number | undefined])[]): void => {
      for (const [number, parent] of numbers) {
        const above = parent === undefined ? undefined : key(parent);
        index.begin(key(number), { parent: above, op: 'run', title: 'run' });
        index.saved(key(number), 1);
      }
    },
    prune: async (policy: RoomPolicy): Promise<number[]> =>
      expectOk(await prune(saved, policy)).map(numberOf),
    kept: (): number[] => index.list().map((step) => numberOf(step.key)),
    countReclaims: (): (() => number) => {
      let count = 0;
      store.reclaimed = async () => {
        count += 1;
        return ok();
      };
      return () => count;
    },
    /** Lets a step run until the answer is called. */
    run: (at: StepKey): (() => Promise<unknown>) => {
      const end = Promise.withResolvers<void>();
      const { signal } = new AbortController();
      const produce = async () => {
        await end.promise;
        return err(BROKEN);
      };
      const running = steps.obtain(
        { key: at, signal, produce, outlivesWaiter: true, logBytes: 1000, onStart: () => {} },
        () => undefined,
      );
      return () => {
        end.resolve();
        return running;
      };
    },
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const noLog = {
  log: { key: key(0), follow: async function* () {}, watch: async function* () {} },
  write: async () => {},
  end: async () => {},
};

function numberOf(at: StepKey): number {
  return Number.parseInt(at, 16);
}
