import { tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { CacheMarks } from '../../src/cache/cache-marks.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { err, failed, ok, toCacheId, toHostPath } from '../../src/index.ts';
import { virtualClock } from '../../src/testing/index.ts';

const APT = toCacheId('apt');

describe('the mark of a cache', () => {
  it('is written before it is said to be, and taken away by a sync once no copy is out', async () => {
    await using place = await openMarks();
    expect([place.marks.isEmpty, place.index.markedCaches('in this boot')]).toEqual([true, []]);
    const mark = place.marks.take(APT);
    expect(place.index.markedCaches('in this boot')).toEqual([APT]);
    expect(await mark.isWritten).toBe(true);
    place.sync();
    expect([place.marks.isEmpty, place.index.markedCaches('in this boot')]).toEqual([false, [APT]]);
    mark[Symbol.dispose]();
    place.sync();
    expect([place.marks.isEmpty, place.index.markedCaches('in this boot')]).toEqual([true, []]);
  });

  it('is one for all copies that are out, and each of them is told when it comes back, once', async () => {
    await using place = await openMarks();
    const [one, two] = [place.marks.take(APT), place.marks.take(APT)];
    expect([place.flushes(), two.isWritten]).toEqual([1, one.isWritten]);
    one[Symbol.dispose]();
    one[Symbol.dispose]();
    expect(place.back()).toBe(1);
    place.sync();
    expect(place.marks.isEmpty).toBe(false);
    two[Symbol.dispose]();
    expect(place.back()).toBe(2);
    place.sync();
    expect(place.marks.isEmpty).toBe(true);
  });

  it('outlives a sync that began before the last copy came back', async () => {
    await using place = await openMarks();
    const one = place.marks.take(APT);
    const out = place.marks.beginSync();
    one[Symbol.dispose]();
    out();
    expect(place.marks.isEmpty).toBe(false);
    const used = place.marks.beginSync();
    place.marks.take(APT)[Symbol.dispose]();
    used();
    expect(place.marks.isEmpty).toBe(false);
    const taken = place.marks.beginSync();
    const two = place.marks.take(APT);
    taken();
    expect(place.marks.isEmpty).toBe(false);
    two[Symbol.dispose]();
    place.sync();
    expect([place.marks.isEmpty, place.index.markedCaches('in this boot')]).toEqual([true, []]);
  });

  it('that cannot be made durable is written again by the next copy', async () => {
    await using place = await openMarks();
    place.failures.push('answers', 'throws');
    for (const expected of [false, false, true]) {
      using mark = place.marks.take(APT);
      expect(await mark.isWritten).toBe(expected);
      expect(place.marks.isEmpty).toBe(!expected);
    }
    expect(place.flushes()).toBe(3);
  });

  it('of a process that died in this boot goes with the next sync, where no copy was taken since', async () => {
    await using place = await openMarks();
    place.index.markCache(APT);
    const marks = new CacheMarks(place.index, () => {});
    expect(marks.isEmpty).toBe(false);
    marks.beginSync()();
    expect([marks.isEmpty, place.index.markedCaches('in this boot')]).toEqual([true, []]);
  });

  it('of a process that died in this boot is known to a copy, and goes with a sync after it', async () => {
    await using place = await openMarks();
    place.index.markCache(APT);
    const marks = new CacheMarks(place.index, () => {});
    using mark = marks.take(APT);
    expect([await mark.isWritten, place.flushes()]).toEqual([true, 0]);
    mark[Symbol.dispose]();
    marks.beginSync()();
    expect(place.index.markedCaches('in this boot')).toEqual([]);
  });
});

async function openMarks() {
  const dir = await tempDir();
  const index = IndexDb.open(toHostPath(dir.path), virtualClock());
  const failures: ('answers' | 'throws')[] = [];
  let [flushes, back] = [0, 0];
  index.flush = async () => {
    flushes += 1;
    const failure = failures.shift();
    if (failure === 'throws') throw new Error('no disk');
    return failure === undefined ? ok() : err(failed('no room'));
  };
  const marks = new CacheMarks(index, () => {
    back += 1;
  });
  return {
    index,
    marks,
    /** How the next flushes fail. */
    failures,
    flushes: () => flushes,
    /** How many copies have come back. */
    back: () => back,
    sync: () => marks.beginSync()(),
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}
