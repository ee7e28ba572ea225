import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { err, ok } from '../../src/index.ts';
import { openTable } from './table-place.ts';

describe('a step whose log is being ended', () => {
  it('gives its result to nobody yet', async () => {
    await using place = await openTable({ held: 'end' });
    const one = place.obtain('one');
    (await place.run('one')).end(ok());
    await place.holding;
    expect(await place.isSettled(one)).toBe(false);
    place.release();
    expectOk(await one.result);
  });

  it('is not joined by who comes now: that one runs it anew', async () => {
    await using place = await openTable({ held: 'end' });
    const one = place.obtain('one');
    (await place.run('one')).end(err({ type: 'broken' }));
    await place.holding;
    const two = place.obtain('two');
    expect([await place.isSettled(two), two.how]).toEqual([false, []]);
    place.release();
    expect(expectErr(await one.result)).toEqual({ type: 'broken' });
    (await place.run('two')).end(ok());
    expectOk(await two.result);
    expect(two.how).toEqual(['ran']);
  });

  it('tells at once who leaves now, also if the step read what belongs to that one', async () => {
    await using place = await openTable({ held: 'end' });
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal, outlivesWaiter: false });
    const two = place.obtain('two', { outlivesWaiter: false });
    (await place.run('one')).end(ok());
    await place.holding;
    stop.abort(new Error('one goes'));
    expect(await place.isSettled(one)).toBe(true);
    expect(expectErr(await one.result)).toMatchObject({ type: 'cancelled', reason: new Error('one goes') });
    place.release();
    expectOk(await two.result);
    expect(place.produced).toEqual(['one']);
  });
});
