import { expectErr } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { prune, type RoomPolicy } from '../../src/cache/prune.ts';
import { err, failed, ok, type UsageAxis } from '../../src/index.ts';
import { key } from './keys.ts';
import { BROKEN, HOUR, numberOf, openPlace } from './prune-place.ts';

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

  it('by age lets what a clock ahead of time used last grow old from now on', async () => {
    await using place = await openPlace();
    place.save([1]);
    const now = new Date(place.clock.now() - HOUR);
    place.clock.setTime(now);
    expect(await place.prune({ unusedSince: now })).toEqual([]);
    expect(place.saved.index.list().map(({ usedAt }) => usedAt)).toEqual([now]);
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

  it('takes, where a part shall be free as well as some bytes, until both are', async () => {
    await using place = await openPlace({
      usage: (steps) => [
        { axis: 'bytes', used: 0, total: 1000 },
        { axis: 'inodes', used: 60 + steps * 10, total: 100 },
      ],
    });
    place.save([1], [2], [3]);
    expect(await place.prune({ keepFreePart: 0.11, keepFreeBytes: 1000 })).toEqual([1]);
  });

  it('for a part that shall be free needs to know nothing of bytes', async () => {
    await using place = await openPlace({ usage: () => [{ axis: 'inodes', used: 1, total: 2 }] });
    place.save([1]);
    expect(await place.prune({ keepFreePart: 0.5 })).toEqual([]);
  });

  it('by age alone does not ask the store how full it is', async () => {
    await using place = await openPlace();
    place.save([1]);
    place.store.usage = async () => err(BROKEN);
    expect(await place.prune({ unusedSince: new Date(place.clock.now() + 1) })).toEqual([1]);
  });

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
    expect(expectErr(await prune(place.saved, { onRemoved }, stop.signal))).toMatchObject({
      type: 'cancelled',
      reason: new Error('enough'),
    });
    expect([place.kept(), signals]).toEqual([[2], [stop.signal]]);
    const { signal } = new AbortController();
    await prune(place.saved, { keepFreePart: 1 }, signal);
    expect(signals.slice(1)).toEqual([signal, signal, signal]);
  });

  it('that was aborted before it began is cancelled, also where there is nothing to remove', async () => {
    await using place = await openPlace();
    const signal = AbortSignal.abort(new Error('too late'));
    expect(expectErr(await prune(place.saved, {}, signal))).toMatchObject({
      type: 'cancelled',
      reason: new Error('too late'),
    });
  });

  it('for space removes no more where the store cannot wait for what the last step has freed', async () => {
    await using place = await openPlace({ usage: () => [{ axis: 'bytes', used: 1000, total: 1000 }] });
    place.save([1], [2]);
    const reclaimed = place.store.reclaimed.bind(place.store);
    place.store.reclaimed = async () => {
      place.store.reclaimed = reclaimed;
      return err(BROKEN);
    };
    expect(expectErr(await prune(place.saved, { keepFreePart: 1 }))).toEqual(BROKEN);
    expect(place.kept()).toEqual([2]);
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
});
