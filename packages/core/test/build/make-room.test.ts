import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { err, failed, type KeyedInputs, ok, type UsageAxis } from '../../src/index.ts';
import { key } from '../cache/keys.ts';
import { openRoom, writeLog } from './room-place.ts';

/** Of ten places each step takes one. */
const tenPlaces = (used: number): UsageAxis => ({ axis: 'bytes', used, total: 10 });

const BASE: KeyedInputs = { op: 'base', digest: 'sha256:a', platform: 'linux/amd64', layout: [] };

describe('room in a store that said it is full', () => {
  it.each([
    ['one step goes at the first time', 0, 4],
    ['a tenth is free after the first time', 0, 10, 9],
    ['three tenths are free after the second time', 1, 10, 7],
    ['all is free after any later time', 2, 10, 0],
  ])('is made: %s', async (_, tries, steps, left = steps - 1) => {
    await using place = await openRoom({ steps, usage: tenPlaces });
    expect(await place.make('store', tries)).toBe(true);
    expect(place.count()).toBe(left);
  });

  it('is made of a step though the store tells of free space, and is there when its log and record are gone', async () => {
    await using place = await openRoom({ steps: 2 });
    const [log, record] = [
      await writeLog(place.stateDir, key(1)),
      join(place.stateDir, `steps/00/${key(1)}.json`),
    ];
    await place.records.write(key(1), { inputs: BASE, title: 'base', image: { env: {} } });
    expect(existsSync(record)).toBe(true);
    const remove = place.store.remove.bind(place.store);
    place.store.remove = async (at, signal) => {
      for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
      return remove(at, signal);
    };
    expect(await place.make('store')).toBe(true);
    expect([place.count(), existsSync(log), existsSync(record)]).toEqual([1, false, false]);
  });

  it('is made for one at a time, and who waited uses it', async () => {
    await using place = await openRoom({ steps: 5 });
    expect(await Promise.all([place.make('store'), place.make('store'), place.make('store')])).toEqual([
      true,
      true,
      true,
    ]);
    expect(place.count()).toBe(4);
    expect(await place.make('store')).toBe(true);
    expect(place.count()).toBe(3);
  });

  it('is not waited for any more when the signal is aborted', async () => {
    await using place = await openRoom({ steps: 1 });
    const [stop, freed] = [new AbortController(), Promise.withResolvers<void>()];
    place.store.reclaimed = () => freed.promise.then(() => ok());
    const first = place.make('store');
    const second = place.make('store', 0, stop.signal);
    stop.abort(new Error('enough'));
    await expect(second).rejects.toThrow('enough');
    freed.resolve();
    expect(await first).toBe(true);
  });

  it('is not made of what is saved where it was free once the store gave back what is gone', async () => {
    let isFree = false;
    await using place = await openRoom({ steps: 9, usage: () => tenPlaces(isFree ? 0 : 10) });
    place.store.reclaimed = async () => {
      for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
      isFree = true;
      return ok();
    };
    expect(await place.make('perhaps')).toBe(true);
    expect(place.count()).toBe(9);
  });

  it('is not made any more when the signal is aborted while the store gives back what is gone', async () => {
    await using place = await openRoom({ steps: 2, isStateFull: true });
    const stop = new AbortController();
    place.store.reclaimed = async () => {
      stop.abort(new Error('enough'));
      return ok();
    };
    await expect(place.make('store', 0, stop.signal)).rejects.toThrow('enough');
    expect([place.count(), existsSync(place.log)]).toEqual([2, true]);
  });

  it('is asked of the store with the signal of who needs it', async () => {
    await using place = await openRoom({ steps: 10, usage: tenPlaces });
    const signals = new Set<AbortSignal | undefined>();
    const [remove, reclaimed] = [
      place.store.remove.bind(place.store),
      place.store.reclaimed.bind(place.store),
    ];
    place.store.remove = (at, signal) => {
      signals.add(signal);
      return remove(at, signal);
    };
    place.store.reclaimed = (signal) => {
      signals.add(signal);
      return reclaimed(signal);
    };
    const { signal } = new AbortController();
    expect(await place.make('store', 1, signal)).toBe(true);
    expect([...signals]).toEqual([signal]);
  });

  it.each([
    ['stay', false, true],
    ['go', true, false],
  ])(
    'lets the logs of steps that failed %s where the own directory is full: %s',
    async (_, isFull, stays) => {
      await using place = await openRoom({ steps: 1, isStateFull: isFull });
      expect(await place.make('store')).toBe(true);
      expect(existsSync(place.log)).toBe(stays);
    },
  );
});

describe('room on the disk of the own directory', () => {
  it('is made of the logs of steps that failed, and of no step where the store has what must be left', async () => {
    await using place = await openRoom({ steps: 10, usage: tenPlaces });
    expect(await place.make('state')).toBe(true);
    expect([place.count(), existsSync(place.log)]).toEqual([10, false]);
  });

  it('is made of steps as well where the store is full too: it may be the same disk', async () => {
    await using place = await openRoom({ steps: 10, usage: tenPlaces, isStateFull: true });
    expect(await place.make('state')).toBe(true);
    expect(place.count()).toBe(9);
  });

  it('is made of no step where the store cannot say what it has', async () => {
    await using place = await openRoom({ steps: 2, isStateFull: true });
    place.store.usage = async () => err(failed('the disk does not answer'));
    expect(await place.make('state')).toBe(false);
    expect(place.count()).toBe(2);
  });

  it('is believed to be there where nobody can look', async () => {
    await using gone = await tempDir();
    await using place = await openRoom({ steps: 0, stateDir: gone.path });
    await gone[Symbol.asyncDispose]();
    expect(await place.make('state')).toBe(true);
  });
});

describe('it is worth while to try again', () => {
  it.each([
    ['after the first time, for a store that has nothing to prune', 'store', 0, { steps: 0 }, true],
    [
      'after the first time, for a store that has nothing to prune, whatever the own directory has',
      ...(['store', 0, { steps: 0, isStateFull: true }, true] as const),
    ],
    ['never later, for a store that has nothing to prune', 'store', 1, { steps: 0 }, false],
    ['later, for a store that had something to prune', 'store', 1, { steps: 1 }, true],
    ['after the first time, where nobody said that it was full', 'perhaps', 0, { steps: 1 }, true],
    ['never later, where nobody said that it was full', 'perhaps', 1, { steps: 1 }, false],
    ['for the own directory, if it has room', 'state', 0, { steps: 0 }, true],
    ['later as well for the own directory, if it has room', 'state', 1, { steps: 0 }, true],
    ['never for the own directory, if it has no room', 'state', 0, { steps: 1, isStateFull: true }, false],
    ['nor later for it, if it has no room', 'state', 1, { steps: 1, isStateFull: true }, false],
    [
      'for the own directory without room, if the store was pruned',
      ...(['state', 0, { steps: 10, usage: tenPlaces, isStateFull: true }, true] as const),
    ],
    [
      'later as well for it without room, if the store was pruned',
      ...(['state', 1, { steps: 10, usage: tenPlaces, isStateFull: true }, true] as const),
    ],
  ] as const)('%s', async (_, full, tries, options, isWorthWhile) => {
    await using place = await openRoom(options);
    expect(await place.make(full, tries)).toBe(isWorthWhile);
  });
});
