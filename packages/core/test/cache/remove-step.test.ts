import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { removeWithDescendants } from '../../src/cache/prune.ts';
import { err, failed } from '../../src/index.ts';
import { key } from './keys.ts';
import { BROKEN, numberOf, openPlace } from './prune-place.ts';

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
    expect(expectErr(await removeWithDescendants(place.saved, key(1), signal))).toMatchObject({
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
