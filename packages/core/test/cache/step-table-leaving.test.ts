import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { cancelled, err, ok } from '../../src/index.ts';
import { key } from './keys.ts';
import { openTable, textOf } from './table-place.ts';

const STEP = key(1);

describe('one of several who leaves', () => {
  it('is told at once, and the step goes on', async () => {
    await using place = await openTable();
    const stop = new AbortController();
    const [one, two] = [place.obtain('one'), place.obtain('two', { signal: stop.signal })];
    const run = await place.run('one');
    stop.abort(new Error('two goes'));
    expect(expectErr(await two.result)).toMatchObject({ type: 'cancelled', reason: new Error('two goes') });
    expect(run.io.signal.aborted).toBe(false);
    run.end(ok());
    expectOk(await one.result)[Symbol.dispose]();
    expect(place.leases.has(STEP)).toBe(false);
  });

  it('is told at once also if the step is its own, where the step needs nothing of it', async () => {
    await using place = await openTable();
    const stop = new AbortController();
    const [one, two] = [place.obtain('one', { signal: stop.signal }), place.obtain('two')];
    const run = await place.run('one');
    stop.abort(new Error('one goes'));
    expect(expectErr(await one.result)).toMatchObject({ type: 'cancelled', reason: new Error('one goes') });
    expect(run.io.signal.aborted).toBe(false);
    run.end(ok());
    expectOk(await two.result);
    expect(place.produced).toEqual(['one']);
  });

  it('and whose files are being read is told when that is over; then another starts the step again', async () => {
    await using place = await openTable();
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal, outlivesWaiter: false });
    const two = place.obtain('two', { outlivesWaiter: false });
    const first = await place.run('one');
    await first.io.log.write('of one\n');
    stop.abort(new Error('one goes'));
    expect(first.io.signal.reason).toEqual(new Error('one goes'));
    expect(await place.isSettled(one)).toBe(false);
    first.end(err(cancelled(first.io.signal)));
    expect(expectErr(await one.result)).toMatchObject({ type: 'cancelled', reason: new Error('one goes') });
    const second = await place.run('two');
    expect(second.io.signal.aborted).toBe(false);
    second.end(ok());
    expectOk(await two.result);
    expect(await textOf(two.log)).toMatch(/^of one\nThe build that ran this step was cancelled; another/);
  });

  it('too late to stop the step leaves its result to the others', async () => {
    await using place = await openTable();
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal, outlivesWaiter: false });
    const two = place.obtain('two', { outlivesWaiter: false });
    const run = await place.run('one');
    stop.abort(new Error('one goes'));
    run.end(ok());
    expectErr(await one.result);
    expectOk(await two.result);
    expect(place.produced).toEqual(['one']);
  });

  it('while another makes the step leaves that one alone, whatever either needs', async () => {
    await using place = await openTable();
    const stop = new AbortController();
    const one = place.obtain('one', { outlivesWaiter: false });
    const two = place.obtain('two', { signal: stop.signal, outlivesWaiter: false });
    const run = await place.run('one');
    stop.abort(new Error('two goes'));
    expectErr(await two.result);
    expect(run.io.signal.aborted).toBe(false);
    run.end(ok());
    expectOk(await one.result);
  });

  it('lets the next start again although the note of it cannot be written', async () => {
    await using place = await openTable({ failing: 'write' });
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal, outlivesWaiter: false });
    const two = place.obtain('two', { outlivesWaiter: false });
    const first = await place.run('one');
    stop.abort(new Error('one goes'));
    first.end(err(cancelled(first.io.signal)));
    (await place.run('two')).end(ok());
    expectErr(await one.result);
    expectOk(await two.result);
  });
});

describe('the last who leaves', () => {
  it('stops the step with its reason, and is told when all is quiet', async () => {
    await using place = await openTable();
    const stops = [new AbortController(), new AbortController()];
    const one = place.obtain('one', { signal: stops[0]?.signal });
    const two = place.obtain('two', { signal: stops[1]?.signal });
    const run = await place.run('one');
    stops[0]?.abort(new Error('one goes'));
    expect(run.io.signal.aborted).toBe(false);
    stops[1]?.abort(new Error('two goes'));
    expect(run.io.signal.reason).toEqual(new Error('two goes'));
    expect(await place.isSettled(two)).toBe(false);
    expect(place.table.isRunning(STEP)).toBe(true);
    run.end(err(cancelled(run.io.signal)));
    expectErr(await one.result);
    expect(expectErr(await two.result)).toMatchObject({ type: 'cancelled', reason: new Error('two goes') });
    expect([place.table.isRunning(STEP), place.leases.has(STEP)]).toEqual([false, false]);
  });

  it('leaves nothing leased where the step came to its end all the same', async () => {
    await using place = await openTable();
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal });
    const run = await place.run('one');
    stop.abort(new Error('one goes'));
    run.end(ok());
    expect(expectErr(await one.result)).toMatchObject({ type: 'cancelled', reason: new Error('one goes') });
    expect(place.leases.has(STEP)).toBe(false);
  });

  it('is not joined by who comes later: that one waits, then runs the step anew', async () => {
    await using place = await openTable();
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal });
    const run = await place.run('one');
    stop.abort(new Error('one goes'));
    const two = place.obtain('two');
    expect([await place.isSettled(two), two.how, place.produced]).toEqual([false, [], ['one']]);
    run.end(err(cancelled(run.io.signal)));
    expectErr(await one.result);
    (await place.run('two')).end(ok());
    expectOk(await two.result);
    expect(two.how).toEqual(['ran']);
  });

  it('can leave between two attempts, and nobody starts a third', async () => {
    await using place = await openTable({ held: 'write' });
    const stops = [new AbortController(), new AbortController()];
    const [one, two] = ['one', 'two'].map((name, i) =>
      place.obtain(name, { signal: stops[i]?.signal, outlivesWaiter: false }),
    );
    const run = await place.run('one');
    stops[0]?.abort(new Error('one goes'));
    run.end(err(cancelled(run.io.signal)));
    await place.holding;
    stops[1]?.abort(new Error('two goes'));
    place.release();
    expect(expectErr((await one?.result) ?? err('none'))).toMatchObject({ type: 'cancelled' });
    expect(expectErr((await two?.result) ?? err('none'))).toMatchObject({ reason: new Error('two goes') });
    expect([place.produced, place.table.isRunning(STEP)]).toEqual([['one'], false]);
  });
});
