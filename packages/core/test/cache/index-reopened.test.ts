import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/backend/clock.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import type { RestoredStep } from '../../src/cache/saved-step.ts';
import { toHostPath } from '../../src/index.ts';
import { key, save } from './keys.ts';

const RESTORED: readonly RestoredStep[] = [
  {
    ...{ key: key(1), parent: undefined, op: 'from', title: '(from base)', isDurable: true },
    ...{ savedAt: new Date('2026-01-01'), usedAt: new Date('2026-01-03'), milliseconds: 12 },
  },
  {
    ...{ key: key(2), parent: key(1), op: 'run', title: '(run (shell a))', isDurable: false },
    ...{ savedAt: new Date('2026-01-02'), usedAt: new Date('2026-01-02'), milliseconds: 34 },
  },
];

describe('an index that is opened again', () => {
  it('takes what is used from now on for used after all that was before', async () => {
    await using place = await openPlace();
    for (const number of [1, 2]) place.save(number);
    place.reopen();
    place.index.touch([key(1)]);
    expect(place.index.list().map((step) => step.key)).toEqual([key(2), key(1)]);
  });

  it('knows which of the steps of this boot are not durable', async () => {
    await using place = await openPlace();
    for (const number of [1, 2]) place.save(number);
    place.index.markDurable([key(1)]);
    place.reopen();
    expect([...place.index.unsynced]).toEqual([key(2)]);
  });
});

describe('an index that was lost', () => {
  it('is filled with all that is known of each step, in this order of use, once and for all', async () => {
    await using place = await openPlace();
    expect(place.index.isUnfilled).toBe(true);
    place.index.fill(RESTORED);
    for (const look of ['at once', 'later']) {
      if (look === 'later') place.reopen();
      const { index } = place;
      expect([look, index.isUnfilled, [...index.unsynced]]).toEqual([look, false, [key(2)]]);
      expect(index.list()).toEqual(RESTORED.map(({ op: _op, isDurable: _isDurable, ...step }) => step));
      expect([index.similar('from', 9), index.similar('run', 9)]).toEqual([[key(1)], [key(2)]]);
    }
  });

  it('is filled also where nothing is known of any step', async () => {
    await using place = await openPlace();
    place.index.fill([]);
    place.reopen();
    expect(place.index.isUnfilled).toBe(false);
  });
});

async function openPlace() {
  const dir = await tempDir();
  const open = (): IndexDb => IndexDb.open(toHostPath(dir.path), systemClock);
  let index = open();
  return {
    get index(): IndexDb {
      return index;
    },
    reopen: (): void => {
      index[Symbol.dispose]();
      index = open();
    },
    save: (number: number) => save(index, number),
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
