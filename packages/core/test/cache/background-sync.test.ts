import { tempDir } from '@snapstep/test-support';
import { describe, expect, it, vi } from 'vitest';
import { toCacheId } from '../../src/backend/names.ts';
import { Durability } from '../../src/cache/durability.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { err, failed, ok, type Result, type StoreError, toHostPath } from '../../src/index.ts';
import { virtualClock } from '../../src/testing/index.ts';
import { key, save } from './keys.ts';

const BROKEN = err(failed('the disk does not answer'));

describe('the sync in the background', () => {
  it('comes four seconds after a step was saved, once for all that were saved meanwhile', async () => {
    await using place = await openPlace();
    await place.clock.advance(1000);
    place.save(1);
    await place.clock.advance(3999);
    place.save(2);
    expect(place.syncs()).toBe(0);
    await place.clock.advance(1);
    await place.untilMarked(1, 2);
    place.save(3);
    await place.clock.advance(3999);
    expect(place.syncs()).toBe(1);
    await place.clock.advance(1);
    await place.untilMarked(1, 2, 3);
    await place.clock.advance(100_000);
    expect([place.syncs(), place.unsynced()]).toEqual([2, []]);
  });

  it('comes for a cache whose copy has come back', async () => {
    await using place = await openPlace();
    place.durability.caches.take(toCacheId('apt'))[Symbol.dispose]();
    await place.clock.advance(4000);
    await vi.waitFor(() => expect(place.durability.caches.isEmpty).toBe(true));
    expect(place.syncs()).toBe(1);
  });

  it('comes for what a process that died in this boot had no time to sync', async () => {
    await using place = await openPlace();
    place.index.onSaved = () => {};
    place.save(1);
    place.open();
    await place.clock.advance(4000);
    await place.untilMarked(1);
    place.open();
    await place.clock.advance(4000);
    expect([place.syncs(), place.unsynced()]).toEqual([1, []]);
  });

  it.each<readonly [what: string, fail: () => Promise<Result<void, StoreError>>]>([
    ['fails', async () => BROKEN],
    ['is rejected', () => Promise.reject(new Error('a bug of a store'))],
  ])('that %s marks nothing, and comes again half a minute later', async (_, fail) => {
    await using place = await openPlace();
    place.save(1);
    place.answers.push(fail);
    await place.clock.advance(4000);
    await vi.waitFor(() => expect(place.unsynced()).toEqual([key(1)]));
    expect(place.marked()).toEqual([]);
    await place.clock.advance(29_999);
    expect(place.syncs()).toBe(1);
    await place.clock.advance(1);
    await place.untilMarked(1);
    expect([place.syncs(), place.unsynced()]).toEqual([2, []]);
  });

  it('marks no step that was removed and made again while it went on', async () => {
    await using place = await openPlace();
    place.save(1);
    place.save(2);
    place.answers.push(async () => {
      place.index.forget(key(1));
      place.save(1);
      return ok();
    });
    await place.clock.advance(4000);
    await place.untilMarked(2);
    expect(place.unsynced()).toEqual([key(1)]);
    await place.clock.advance(4000);
    await place.untilMarked(2, 1);
  });

  it('comes again where the index does not take back the mark of a cache, and never rejects', async () => {
    await using place = await openPlace();
    const apt = toCacheId('apt');
    place.durability.caches.take(apt)[Symbol.dispose]();
    const unmark = vi.spyOn(place.index, 'unmarkCaches').mockImplementationOnce(() => {
      throw new Error('database or disk is full');
    });
    await place.clock.advance(4000);
    await vi.waitFor(() => expect(unmark).toHaveBeenCalledOnce());
    await place.clock.advance(29_999);
    expect([place.syncs(), place.index.markedCaches('in this boot')]).toEqual([1, [apt]]);
    await place.clock.advance(1);
    await vi.waitFor(() => expect(place.index.markedCaches('in this boot')).toEqual([]));
    expect(place.syncs()).toBe(2);
  });

  it('comes again where the index could not be marked', async () => {
    await using place = await openPlace();
    place.save(1);
    place.index.markDurable = () => {
      throw new Error('database or disk is full');
    };
    await place.durability.sync();
    expect(place.unsynced()).toEqual([key(1)]);
    await place.clock.advance(30_000);
    expect(place.syncs()).toBe(2);
  });

  it('is over when the index has the marks on its disk', async () => {
    await using place = await openPlace();
    const order: string[] = [];
    const flush = place.index.flush.bind(place.index);
    place.index.flush = async () => {
      const flushed = await flush();
      order.push('flushed');
      return flushed;
    };
    place.save(1);
    await place.durability.sync();
    order.push('over');
    expect(order).toEqual(['flushed', 'over']);
  });

  it('comes a last time at the end, and never after it', async () => {
    await using place = await openPlace();
    place.save(1);
    await place.durability[Symbol.asyncDispose]();
    expect([place.syncs(), place.unsynced()]).toEqual([1, []]);
    place.save(2);
    await place.clock.advance(100_000);
    expect([place.syncs(), place.unsynced()]).toEqual([1, [key(2)]]);
  });

  it('does not come after the end, where nothing was to be synced before it', async () => {
    await using place = await openPlace();
    await place.durability[Symbol.asyncDispose]();
    place.save(1);
    await place.clock.advance(100_000);
    expect([place.syncs(), place.unsynced()]).toEqual([0, [key(1)]]);
  });

  it('that fails at the end leaves nothing behind that comes again', async () => {
    await using place = await openPlace();
    place.save(1);
    place.answers.push(async () => BROKEN);
    await place.durability[Symbol.asyncDispose]();
    await place.clock.advance(100_000);
    expect([place.syncs(), place.unsynced()]).toEqual([1, [key(1)]]);
  });
});

async function openPlace() {
  const [dir, clock] = [await tempDir(), virtualClock()];
  const stateDir = toHostPath(dir.path);
  const index = IndexDb.open(stateDir, clock);
  const marked = vi.spyOn(index, 'markDurable');
  const keysMarked = () => marked.mock.calls.flatMap(([keys]) => [...keys]);
  const answers: (() => Promise<Result<void, StoreError>>)[] = [];
  let syncs = 0;
  const sync = async (): Promise<Result<void, StoreError>> => {
    syncs += 1;
    return (await answers.shift()?.()) ?? ok();
  };
  const open = () => new Durability({ index, store: { sync }, stateDir, clock });
  return {
    clock,
    index,
    /** How the next syncs of the store's disk end. Default: well. */
    answers,
    durability: open(),
    open,
    syncs: () => syncs,
    unsynced: () => [...index.unsynced],
    marked: keysMarked,
    /** Settles when just these have been marked. */
    untilMarked: (...numbers: readonly number[]) =>
      vi.waitFor(() => expect(keysMarked()).toEqual(numbers.map(key))),
    save: (number: number) => save(index, number),
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
