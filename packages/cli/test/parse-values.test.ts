import { describe, expect, it } from 'vitest';
import {
  allowances,
  hosts,
  ignoreFiles,
  orNone,
  pairs,
  parseCount,
  parseCpus,
  parseDuration,
  parseFreeSpace,
  parseMemory,
  parseOffset,
  parsePids,
  parseSize,
} from '../src/parse-values.ts';
import { parseStore } from '../src/store-location.ts';

describe('the values of options', () => {
  it.each([
    ['512B', 512],
    ['0b', 0],
    ['2G', 2 * 1024 ** 3],
    ['1.5GiB', 1.5 * 1024 ** 3],
    ['300 mb', 300 * 1024 ** 2],
    ['1k', 1024],
  ])('reads the size %s', (text, bytes) => {
    expect(parseSize(text)).toBe(bytes);
  });

  it.each(['', 'G', '-1G', '2Gx', '1e9', '2 GG', 'Infinity', '512', '1.5', '9999P', '2iB'])(
    'refuses the size "%s"',
    (text) => {
      expect(() => parseSize(text)).toThrow('It should be a size');
    },
  );

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
    [parseOffset, '1k'],
    [parseMemory, '0G'],
    [parsePids, '99999999'],
    [parseCpus, '99999999'],
    [parseDuration, '101y'],
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

  it.each(['20', '0', '20 percent'])('wants the unit of what to keep free: "%s"', (text) => {
    expect(() => parseFreeSpace(text)).toThrow('with its unit, such as 20G or 20%');
  });

  it('takes the names of ignore files that there are', () => {
    expect(ignoreFiles('.gitignore', ignoreFiles('.dockerignore'))).toEqual(['.dockerignore', '.gitignore']);
    expect(() => ignoreFiles('.npmignore')).toThrow('It should be .dockerignore or .gitignore.');
  });

  it('takes "none" where a limit has a default', () => {
    expect(orNone(parsePids)('none')).toBe(Infinity);
    expect(orNone(parsePids)('12')).toBe(12);
    expect(() => orNone(parsePids)('None')).toThrow('It should be a whole number');
  });

  it('takes what steps may be allowed, and nothing else', () => {
    expect(allowances('io-uring', allowances('user-namespaces'))).toEqual(['user-namespaces', 'io-uring']);
    expect(() => allowances('everything')).toThrow('It should be user-namespaces or io-uring.');
  });

  it('takes hosts of registries, and no URLs, which would match none', () => {
    expect(hosts('[::1]:5000', hosts('127.0.0.1:5000', ['localhost']))).toEqual([
      ...['localhost', '127.0.0.1:5000', '[::1]:5000'],
    ]);
    for (const text of ['http://127.0.0.1:5000', '127.0.0.1:5000/', '', 'a:b'])
      expect(() => hosts(text)).toThrow('It should be a host');
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
