import { describe, expect, it } from 'vitest';
import {
  pairs,
  parseCount,
  parseCpus,
  parseDuration,
  parseFreeSpace,
  parseOffset,
  parseSize,
} from '../src/parse-values.ts';
import { parseStore } from '../src/store-location.ts';

describe('the values of options', () => {
  it.each([
    ['512', 512],
    ['2G', 2 * 1024 ** 3],
    ['1.5GiB', 1.5 * 1024 ** 3],
    ['300 mb', 300 * 1024 ** 2],
    ['1k', 1024],
  ])('reads the size %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'G', '-1G', '2Gx', '1e9', '2 GG', 'Infinity'])('refuses the size "%s"', (text) => {
    expect(() => parseSize(text)).toThrow('It should be a size');
  });

  it.each([
    ['30s', 30_000],
    ['10m', 600_000],
    ['1h30m', 5_400_000],
    ['1.5h', 5_400_000],
    ['7d', 604_800_000],
  ])('reads the time %s', (text, milliseconds) => {
    expect(parseDuration(text)).toBe(milliseconds);
  });

  it.each(['', '10', '-5s', '10 parsecs', '0s', 's'])('refuses the time "%s"', (text) => {
    expect(() => parseDuration(text)).toThrow('It should be a time with its unit');
  });

  it('reads counts, offsets and processors', () => {
    expect([parseCount('500'), parseOffset('0'), parseCpus('1.5'), parseCpus('.5')]).toEqual([
      500, 0, 1.5, 0.5,
    ]);
  });

  it.each([
    [parseCount, '0'],
    [parseCount, '1.5'],
    [parseCount, '99999999999999999999'],
    [parseOffset, '-1'],
    [parseCpus, '0'],
    [parseCpus, '-1'],
    [parseCpus, 'many'],
  ])('refuses a number out of range (%#)', (parse, text) => {
    expect(() => parse(text)).toThrow('It should be');
  });

  it('reads what to keep free as a size or a share', () => {
    expect([parseFreeSpace('20G'), parseFreeSpace('20%')]).toEqual([
      { bytes: 20 * 1024 ** 3 },
      { percent: 20 },
    ]);
    expect(() => parseFreeSpace('120%')).toThrow('at most 100%');
  });

  it('splits a pair at the first separator', () => {
    const images = pairs('=')('debian=rootfs:/a=b', new Map([['x', 'y']]));
    expect([...images]).toEqual([
      ['x', 'y'],
      ['debian', 'rootfs:/a=b'],
    ]);
  });

  it.each(['debian', '=x', 'debian='])('refuses the pair "%s"', (text) => {
    expect(() => pairs('=')(text)).toThrow('two words');
  });

  it('refuses a name that is given twice', () => {
    expect(() => pairs(':')('a:2', new Map([['a', '1']]))).toThrow('"a" was already given');
  });

  it('reads where a store is', () => {
    expect(parseStore('rsync:/a//b/')).toEqual({ kind: 'rsync', path: '/a/b' });
    expect(parseStore('zfs:tank/ci')).toEqual({ kind: 'zfs', dataset: 'tank/ci' });
    expect(() => parseStore('/data')).toThrow('rsync:PATH');
  });
});
