import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/backend/clock.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { reconcile } from '../../src/cache/reconcile.ts';
import { err, failed, ok, type StepKey, toHostPath } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { save as saveSnapshot } from '../testing/store-scene.ts';
import { key } from './keys.ts';

const BUSY = failed('something is built on it');

describe('what a crash left', () => {
  it('goes: rows without a snapshot, snapshots without a row, and both of what was not saved whole', async () => {
    await using place = await openPlace();
    await place.save(1, { row: 'saved', snapshot: true });
    await place.save(2, { row: 'saved', snapshot: false });
    await place.save(3, { row: undefined, snapshot: true });
    await place.save(4, { row: 'saving', snapshot: true });
    await place.save(5, { row: 'removing', snapshot: true });
    await place.save(6, { row: 'saving', snapshot: false });
    const { forgotten, removed } = expectOk(await reconcile(place.index, place.store));
    expect(forgotten.toSorted()).toEqual([2, 4, 5, 6].map(key));
    expect(removed.toSorted()).toEqual([3, 4, 5].map(key));
    expect([...place.index.states().keys()]).toEqual([key(1)]);
    expect(expectOk(await place.store.list())).toEqual([key(1)]);
  });

  it('is nothing where index and store agree, and nothing is asked of the store', async () => {
    await using place = await openPlace();
    await place.save(1, { row: 'saved', snapshot: true });
    place.store.remove = async () => err(BUSY);
    expect(expectOk(await reconcile(place.index, place.store))).toEqual({ forgotten: [], removed: [] });
  });

  it('goes also where parents can be removed only after their children, in whatever order they are found', async () => {
    await using place = await openPlace();
    for (const number of [1, 2, 3]) await place.save(number, { row: undefined, snapshot: true });
    place.refuseParents();
    const { removed } = expectOk(await reconcile(place.index, place.store));
    expect(removed.toSorted()).toEqual([1, 2, 3].map(key));
    expect(expectOk(await place.store.list())).toEqual([]);
  });

  it('keeps its row where it cannot be removed, so that no step takes it for saved', async () => {
    await using place = await openPlace();
    await place.save(1, { row: 'removing', snapshot: true });
    await place.save(2, { row: undefined, snapshot: true });
    await place.save(3, { row: 'saving', snapshot: true });
    const remove = place.store.remove.bind(place.store);
    const tries: StepKey[] = [];
    place.store.remove = async (at) => {
      tries.push(at);
      return at === key(1) ? err(BUSY) : remove(at);
    };
    const { forgotten, removed } = expectOk(await reconcile(place.index, place.store));
    expect([forgotten, removed.toSorted()]).toEqual([
      [key(1), key(3)],
      [key(2), key(3)],
    ]);
    expect([...place.index.states()]).toEqual([[key(1), 'removing']]);
    expect(tries.filter((at) => at === key(1))).toHaveLength(2);
  });

  it('is not touched where the store cannot say what it has', async () => {
    await using place = await openPlace();
    await place.save(1, { row: 'saved', snapshot: false });
    place.store.list = async () => err(BUSY);
    expect(expectErr(await reconcile(place.index, place.store))).toEqual(BUSY);
    expect(place.index.isSaved(key(1))).toBe(true);
  });
});

async function openPlace() {
  const [dir, store] = [await tempDir(), await memoryStore()];
  const index = IndexDb.open(toHostPath(dir.path), systemClock);
  return {
    index,
    store,
    save: async (
      number: number,
      {
        row,
        snapshot,
      }: { readonly row: 'saving' | 'saved' | 'removing' | undefined; readonly snapshot: boolean },
    ): Promise<void> => {
      if (snapshot) await saveSnapshot(store, { at: key(number), files: {} });
      if (row) index.begin(key(number), { parent: undefined, op: 'run', title: 'run' });
      if (row === 'saved' || row === 'removing') index.saved(key(number), 1);
      if (row === 'removing') index.removing(key(number));
    },
    /** Each snapshot is refused while the one with the next number is there. */
    refuseParents: (): void => {
      const remove = store.remove.bind(store);
      store.remove = async (at) => {
        const next = key(Number.parseInt(at, 16) + 1);
        const isParent = expectOk(await store.list()).includes(next);
        return isParent ? err(BUSY) : remove(at).then(() => ok());
      };
    },
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
