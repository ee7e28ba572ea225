import type { BigIntStats } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { NOW, openCache, SHA256 } from './hash-place.ts';

describe('the hash of a file', () => {
  it.each([
    ['a moment before', '2026-03-04T05:06:07.850Z', false],
    ['a tenth of a second before', '2026-03-04T05:06:07.800Z', false],
    ['a little more than a tenth of a second before', '2026-03-04T05:06:07.799Z', true],
    ['in the same second, on a disk that keeps whole seconds', '2026-03-04T05:06:07.000Z', false],
    ['in the second before, on a disk that keeps every other one', '2026-03-04T05:06:06.000Z', false],
    ['seconds before, on a disk that keeps whole ones', '2026-03-04T05:06:05.000Z', true],
  ])('that changed %s is kept only if another change would show [K5] [K7]', async (_, changed, isKept) => {
    await using place = await openCache();
    const stat = place.statOf(changed);
    place.cache.remember('f', { stat, sha256: SHA256, readAt: NOW });
    place.cache.flush();
    expect(place.cache.find('f', stat)).toBe(isKept ? SHA256 : undefined);
  });

  it.each([
    ['it was written to', 'mtime'],
    ['anything of it changed', 'ctime'],
  ])('is not kept where %s a moment before, whatever its other time says [K5]', async (_, time) => {
    await using place = await openCache();
    const stat = place.statOf('2026-03-04T05:00:00.123Z');
    const late = place.statOf('2026-03-04T05:06:07.850Z');
    const changed: BigIntStats = Object.assign(Object.create(late), {
      ...(time === 'mtime' ? { ctimeNs: stat.ctimeNs, ctimeMs: stat.ctimeMs } : {}),
      ...(time === 'ctime' ? { mtimeNs: stat.mtimeNs, mtimeMs: stat.mtimeMs } : {}),
    });
    place.cache.remember('f', { stat: changed, sha256: SHA256, readAt: NOW });
    place.cache.flush();
    expect(place.cache.find('f', changed)).toBeUndefined();
  });

  it('is not kept where the reading began a moment after the change, however long it took [K5]', async () => {
    await using place = await openCache();
    const stat = place.statOf(new Date(Date.now() - 10_000));
    place.cache.remember('f', { stat, sha256: SHA256, readAt: Date.now() - 9_950 });
    place.cache.flush();
    expect(place.cache.find('f', stat)).toBeUndefined();
  });
});

describe('what is remembered of a file', () => {
  it('is found only under its name, and only if nothing of the file changed', async () => {
    await using place = await openCache();
    const stat = place.keep('host/d/1');
    expect(place.cache.find('host/d/1', stat)).toBe(SHA256);
    expect(place.cache.find('host/d/2', stat)).toBeUndefined();
    for (const field of ['ino', 'size', 'mtimeNs', 'ctimeNs', 'birthtimeNs'] as const) {
      const other = Object.assign(Object.create(stat), { [field]: stat[field] + 1n });
      expect(place.cache.find('host/d/1', other), field).toBeUndefined();
    }
  });

  it('is not found for a file whose numbers only read the same in a row', async () => {
    await using place = await openCache();
    const stat = place.statOf('2026-03-04T05:00:00.123Z');
    const withNumbers = (ino: bigint, size: bigint): BigIntStats =>
      Object.assign(Object.create(stat), { ino, size });
    place.cache.remember('f', { stat: withNumbers(1n, 23n), sha256: SHA256, readAt: NOW });
    place.cache.flush();
    expect(place.cache.find('f', withNumbers(12n, 3n))).toBeUndefined();
    expect(place.cache.find('f', withNumbers(1n, 23n))).toBe(SHA256);
  });

  it('is what was remembered last, if that is twice before it is kept', async () => {
    await using place = await openCache();
    place.remember('f');
    const changed = place.statOf('2026-03-04T05:06:07.750Z');
    place.cache.remember('f', { stat: changed, sha256: 'b'.repeat(64), readAt: NOW });
    place.cache.flush();
    expect(place.cache.find('f', changed)).toBe('b'.repeat(64));
  });

  it('is kept at once where a thousand files are remembered, and then only with the next thousand', async () => {
    await using place = await openCache();
    const isFound = (name: string) => place.cache.find(name, stat) === SHA256;
    const stat = place.remember('f-1');
    for (let i = 2; i < 1000; i += 1) place.remember(`f-${i}`);
    expect(isFound('f-1')).toBe(false);
    place.remember('f-1000');
    expect(['f-1', 'f-999', 'f-1000'].filter(isFound)).toEqual(['f-1', 'f-999', 'f-1000']);
    place.remember('f-1001');
    expect(isFound('f-1001')).toBe(false);
  });

  it('is forgotten with all of one step, and with nothing of another', async () => {
    await using place = await openCache();
    const names = ['step/aa/f', 'step/aa/~', 'step/aa', 'step/aab/f', 'step/a/f'];
    const [stat] = names.map((name) => place.keep(name));
    place.cache.forget('step/aa');
    const left = names.filter((name) => place.cache.find(name, stat as BigIntStats) !== undefined);
    expect(left).toEqual(['step/aa', 'step/aab/f', 'step/a/f']);
  });

  it('is forgotten with all of one step also before it is kept, and with nothing of another', async () => {
    await using place = await openCache();
    const names = ['step/aa/f', 'step/aa/~', 'step/aa', 'step/aab/f', 'step/a/f', 'x/step/aa/'];
    const [stat] = names.map((name) => place.remember(name));
    place.cache.forget('step/aa');
    place.cache.flush();
    const left = names.filter((name) => place.cache.find(name, stat as BigIntStats) !== undefined);
    expect(left).toEqual(['step/aa', 'step/aab/f', 'step/a/f', 'x/step/aa/']);
  });

  it('is forgotten with all others when they would be more than half a million, and not before', async () => {
    await using place = await openCache();
    const stat = place.keep('first');
    place.close();
    // Names that come in their order are written faster.
    place.sql(`WITH RECURSIVE n (i) AS (VALUES (1000) UNION ALL SELECT i + 1 FROM n WHERE i < 1999)
      INSERT INTO file SELECT a.i || b.i, '', '', 0 FROM n AS a, n AS b LIMIT 499998`);
    place.reopen();
    place.keep('last');
    expect(['first', 'last'].map((name) => place.cache.find(name, stat))).toEqual([SHA256, SHA256]);
    place.keep('more');
    expect(['first', 'last', 'more'].map((name) => place.cache.find(name, stat))).toEqual([
      undefined,
      undefined,
      SHA256,
    ]);
  });

  it('is found by the next process also if nobody flushed it', async () => {
    await using place = await openCache();
    const stat = place.remember('f');
    place.reopen();
    expect(place.cache.find('f', stat)).toBe(SHA256);
  });

  it('stays what the next process remembers, whatever is still asked of a cache that is closed', async () => {
    await using place = await openCache();
    const stat = place.keep('f');
    const closed = place.cache;
    place.reopen();
    closed[Symbol.dispose]();
    expect(closed.find('f', stat)).toBeUndefined();
    closed.remember('late', { stat, sha256: SHA256, readAt: NOW });
    closed.flush();
    closed.forget('step/aa');
    place.keep('g');
    place.reopen();
    expect(['f', 'late', 'g'].map((name) => place.cache.find(name, stat))).toEqual([
      SHA256,
      undefined,
      SHA256,
    ]);
  });

  it('is found again by the next process, and by none after the machine was started again', async () => {
    await using place = await openCache();
    const stat = place.keep('f');
    place.reopen();
    expect(place.cache.find('f', stat)).toBe(SHA256);
    place.close();
    place.sql("UPDATE boot SET id = 'another'");
    place.reopen();
    expect(place.cache.find('f', stat)).toBeUndefined();
    place.keep('f');
    place.reopen();
    expect(place.cache.find('f', stat)).toBe(SHA256);
  });
});
