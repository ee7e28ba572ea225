import { getEventListeners } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { cancelled, err, ok } from '../../src/index.ts';
import { key } from './keys.ts';
import { openTable, textOf } from './table-place.ts';

const STEP = key(1);

describe('a step that several want', () => {
  it('runs once, and each of them is told how it came in and gets a lease of its own', async () => {
    await using place = await openTable();
    const [one, two] = [place.obtain('one'), place.obtain('two')];
    const run = await place.run('one');
    expect([one.how, two.how]).toEqual([['ran'], ['joined']]);
    expect(two.log).toBe(one.log);
    expect(one.log?.key).toBe(STEP);
    expect(place.table.isRunning(STEP)).toBe(true);
    run.end(ok());
    const leases = [expectOk(await one.result), expectOk(await two.result)];
    expect(leases.map((lease) => lease.key)).toEqual([STEP, STEP]);
    expect(place.table.isRunning(STEP)).toBe(false);
    expect(place.produced).toEqual(['one']);
    leases[0]?.[Symbol.dispose]();
    expect(place.leases.has(STEP)).toBe(true);
    leases[1]?.[Symbol.dispose]();
    expect(place.leases.has(STEP)).toBe(false);
  });

  it('tells each of them once that it has its turn: who comes later at once', async () => {
    await using place = await openTable();
    const [one, two] = [place.obtain('one'), place.obtain('two')];
    const run = await place.run('one');
    expect([one.how, two.how]).toEqual([['ran'], ['joined']]);
    run.io.onStart();
    run.io.onStart();
    const three = place.obtain('three');
    await setImmediate();
    expect([one.how, two.how, three.how]).toEqual([
      ['ran', 'started'],
      ['joined', 'started'],
      ['joined', 'started'],
    ]);
    run.end(ok());
    for (const { result } of [one, two, three]) expectOk(await result)[Symbol.dispose]();
  });

  it('fails for all of them with the same error, and leases nothing', async () => {
    await using place = await openTable();
    const [one, two] = [place.obtain('one'), place.obtain('two')];
    (await place.run('one')).end(err({ type: 'broken' }));
    expect([expectErr(await one.result), expectErr(await two.result)]).toEqual(
      Array(2).fill({ type: 'broken' }),
    );
    expect([place.leases.has(STEP), place.table.isRunning(STEP)]).toEqual([false, false]);
  });

  it('throws to all of them what its maker threw by mistake, and can be made again', async () => {
    await using place = await openTable();
    const [one, two] = [place.obtain('one'), place.obtain('two')];
    (await place.run('one')).throw(new TypeError('a bug'));
    await expect(one.result).rejects.toThrow('a bug');
    await expect(two.result).rejects.toThrow('a bug');
    expect(await textOf(one.log)).toBe('');
    const three = place.obtain('three');
    (await place.run('three')).end(ok());
    expectOk(await three.result);
  });

  it('has ended its log before anybody has its result', async () => {
    await using place = await openTable();
    const one = place.obtain('one');
    const run = await place.run('one');
    await run.io.log.write('all of it');
    run.end(ok());
    expectOk(await one.result);
    await expect(run.io.log.write('more')).rejects.toThrow('after its end');
    expect(await textOf(one.log)).toBe('all of it');
  });

  it('has its result also where the end of its log cannot be written', async () => {
    await using place = await openTable({ failing: 'end' });
    const one = place.obtain('one');
    (await place.run('one')).end(ok());
    expectOk(await one.result);
    expect(place.table.isRunning(STEP)).toBe(false);
  });
});

describe('a step that is wanted', () => {
  it('is not run where it is saved by now: the lease of it is the answer', async () => {
    await using place = await openTable();
    const lease = place.leases.take(STEP);
    const one = place.obtain('one', { saved: () => lease });
    expect(expectOk(await one.result)).toBe(lease);
    expect([place.produced, one.how]).toEqual([[], []]);
  });

  it('is not run for who was aborted before asking, and is not looked for', async () => {
    await using place = await openTable();
    const stop = AbortSignal.abort(new Error('too late'));
    const one = place.obtain('one', { signal: stop, saved: () => place.leases.take(STEP) });
    expect(expectErr(await one.result)).toMatchObject({ type: 'cancelled', reason: new Error('too late') });
    expect([place.produced, place.leases.has(STEP)]).toEqual([[], false]);
  });

  it('is not aborted any more when it has ended', async () => {
    await using place = await openTable();
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal });
    const run = await place.run('one');
    run.end(ok());
    expectOk(await one.result);
    stop.abort(new Error('too late'));
    expect(run.io.signal.aborted).toBe(false);
  });

  it('runs beside steps of other keys', async () => {
    await using place = await openTable();
    const [one, two] = [place.obtain('one'), place.obtain('two', { key: key(2) })];
    const runs = [await place.run('one'), await place.run('two')];
    runs[1]?.end(ok());
    expect(expectOk(await two.result).key).toBe(key(2));
    expect([place.table.isRunning(STEP), place.table.isRunning(key(2))]).toEqual([true, false]);
    runs[0]?.end(ok());
    expectOk(await one.result);
  });
});

describe('who waits for a step', () => {
  it('has nothing left at its signal when a bug is thrown to it', async () => {
    await using place = await openTable();
    const { signal } = new AbortController();
    const one = place.obtain('one', { signal });
    (await place.run('one')).throw(new TypeError('a bug'));
    await expect(one.result).rejects.toThrow('a bug');
    expect(getEventListeners(signal, 'abort')).toEqual([]);
  });

  it('has nothing left at its signal when it is told, nor when it has left', async () => {
    await using place = await openTable();
    const [ends, leaves] = [new AbortController(), new AbortController()];
    const one = place.obtain('one', { signal: ends.signal });
    const two = place.obtain('two', { signal: leaves.signal });
    const run = await place.run('one');
    expect([ends, leaves].map(({ signal }) => getEventListeners(signal, 'abort').length)).toEqual([1, 1]);
    leaves.abort();
    expectErr(await two.result);
    run.end(ok());
    expectOk(await one.result);
    expect([ends, leaves].map(({ signal }) => getEventListeners(signal, 'abort').length)).toEqual([0, 0]);
  });
});

describe('stopping all', () => {
  it('aborts every step with the reason, and waits until all are quiet', async () => {
    await using place = await openTable();
    const [one, two] = [place.obtain('one'), place.obtain('two', { key: key(2) })];
    const runs = [await place.run('one'), await place.run('two')];
    let stopped = false;
    const stopping = place.table.stopAll(new Error('closed')).then(() => {
      stopped = true;
    });
    for (const { io } of runs) expect(io.signal.reason).toEqual(new Error('closed'));
    const closed = cancelled({ reason: new Error('closed') });
    runs[0]?.end(err(closed));
    await one.result;
    await setImmediate();
    expect(stopped).toBe(false);
    runs[1]?.end(err(closed));
    await stopping;
    expect([expectErr(await one.result), expectErr(await two.result)]).toEqual(Array(2).fill(closed));
  });

  it('starts no step again of which a build that ran it has just left, and tells the others why', async () => {
    await using place = await openTable({ held: 'write' });
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal, outlivesWaiter: false });
    const two = place.obtain('two');
    const run = await place.run('one');
    stop.abort(new Error('one goes'));
    run.end(err(cancelled(run.io.signal)));
    await place.holding;
    const stopping = place.table.stopAll(new Error('closed'));
    place.release();
    await stopping;
    expect(expectErr(await one.result)).toMatchObject({ type: 'cancelled', reason: new Error('one goes') });
    expect(expectErr(await two.result)).toMatchObject({ type: 'cancelled', reason: new Error('closed') });
    expect(place.produced).toEqual(['one']);
  });

  it('lets nobody join what it stops, also if that reads what belongs to somebody', async () => {
    await using place = await openTable();
    const one = place.obtain('one', { outlivesWaiter: false });
    const run = await place.run('one');
    const stopping = place.table.stopAll(new Error('closed'));
    const two = place.obtain('two');
    expect(two.how).toEqual([]);
    run.end(err(cancelled(run.io.signal)));
    await stopping;
    expectErr(await one.result);
    expect(place.produced.slice(0, 1)).toEqual(['one']);
    (await place.run('two')).end(ok());
    expectOk(await two.result);
  });
});

describe('a key that is reserved', () => {
  it('is given to nobody until the task is done; then it is looked for anew', async () => {
    await using place = await openTable();
    const task = Promise.withResolvers<string>();
    const reserved = place.table.reserve([STEP, key(2)], () => task.promise);
    expect([STEP, key(2), key(3)].map((one) => place.table.isReserved(one))).toEqual([true, true, false]);
    let looks = 0;
    const saved = (): undefined => {
      looks += 1;
    };
    const one = place.obtain('one', { saved });
    expect([await place.isSettled(one), place.produced, looks]).toEqual([false, [], 0]);
    task.resolve('done');
    expect(await reserved).toBe('done');
    expect([STEP, key(2)].map((key) => place.table.isReserved(key))).toEqual([false, false]);
    (await place.run('one')).end(ok());
    expectOk(await one.result);
    expect(looks).toBe(1);
  });

  it('is free again after a task that threw', async () => {
    await using place = await openTable();
    const task = Promise.withResolvers<never>();
    const reserved = place.table.reserve([STEP], () => task.promise);
    const one = place.obtain('one');
    task.reject(new Error('a bug'));
    await expect(reserved).rejects.toThrow('a bug');
    expect(place.table.isReserved(STEP)).toBe(false);
    (await place.run('one')).end(ok());
    expectOk(await one.result);
  });

  it('does not keep who is aborted meanwhile from being told, when it is free', async () => {
    await using place = await openTable();
    const task = Promise.withResolvers<void>();
    const reserved = place.table.reserve([STEP], () => task.promise);
    const stop = new AbortController();
    const one = place.obtain('one', { signal: stop.signal });
    stop.abort(new Error('one goes'));
    task.resolve();
    await reserved;
    expect(expectErr(await one.result)).toMatchObject({ type: 'cancelled', reason: new Error('one goes') });
    expect(place.produced).toEqual([]);
  });
});
