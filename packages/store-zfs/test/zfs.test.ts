import { basename } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { componentFor, inspectZfs, isDatasetName, textOf } from '../src/index.ts';
import { warningsOf } from '../src/inspect.ts';
import { defaultDirectory } from '../src/open.ts';
import { parsePoolState, parseVersion } from '../src/pool.ts';
import { parseRows } from '../src/zfs.ts';

describe('the name of a dataset', () => {
  it('is injective for any text, one that ZFS takes, and can be read back', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'grapheme', maxLength: 20 }), (text) => {
        const name = expectOk(componentFor(text, 'pool/cache'));
        expect(isDatasetName(`pool/cache/${name}`)).toBe(true);
        expect(name).toBe(name.toLowerCase());
        expect(textOf(name)).toBe(text);
      }),
    );
    expect(expectOk(componentFor('a/B:c%', 'p'))).toBe('c-a:2f:42:3ac:25');
  });

  it('that would be too long below its parent is refused', () => {
    expect(expectErr(componentFor('x'.repeat(250), 'pool/cache')).type).toBe('failed');
  });

  it('gives a directory of its own, however long it is', () => {
    const long = `TANK/${'A'.repeat(140)}`;
    const directories = ['tank/a', long, `${long.slice(0, -1)}B`].map(defaultDirectory);
    expect(new Set(directories).size).toBe(3);
    expect(directories.filter((path) => basename(path).length > 255)).toEqual([]);
  });

  it('is told from what is none', () => {
    const bad = [
      '',
      '/pool',
      'pool/',
      'pool//x',
      'pool/x@snap',
      'pool/a b',
      '1pool',
      '-f',
      'pool/-r',
      'pool/x%',
    ];
    expect(bad.filter(isDatasetName)).toEqual([]);
    expect(isDatasetName('tank/snapstep_1.2:x-y')).toBe(true);
  });
});

describe('what the tools print', () => {
  it('is read, or refused with what it was [T2]', () => {
    const two = 'zfs-2.1.11-1+deb12u1\nzfs-kmod-2.1.11-1+deb12u1\n';
    expect(expectOk(parseVersion(two))).toEqual({ major: 2, minor: 1, text: 'zfs-2.1.11-1+deb12u1' });
    expect(expectErr(parseVersion('unrecognized command\n'))).toHaveProperty(
      'message',
      expect.stringContaining('unrecognized'),
    );
    expect(expectOk(parsePoolState('ONLINE\t1000\t900\t100\n'))).toEqual({
      ...{ health: 'ONLINE', size: 1000, allocated: 900, free: 100 },
    });
    expectErr(parsePoolState('ONLINE\t1.5T\t900\t100\n'));
  });

  it('is a row for each dataset, whatever it is called, or refused (T2, T3)', () => {
    const line = 'p/a\t12\tp/b@snap\tyes\t/mnt/a b\t512\thome\t-\n';
    expect(expectOk(parseRows(line))).toMatchObject([
      { name: 'p/a', guid: '12', origin: 'p/b@snap', mountpoint: '/mnt/a b', 'snapstep:volumes': 'home' },
    ]);
    expect(expectOk(parseRows(''))).toEqual([]);
    fc.assert(fc.property(fc.string(), (text) => void parseRows(text)));
    expect(expectErr(parseRows('p/a\t12\n'))).toMatchObject({ message: expect.stringContaining('p/a 12') });
  });

  it('becomes warnings that say what to do [Z18]', () => {
    const pool = { health: 'DEGRADED', size: 1000, allocated: 900, free: 100 };
    expect(warningsOf({ major: 2, minor: 0, text: 'zfs-2.0.3' }, pool)).toEqual([
      'OpenZFS zfs-2.0.3 is older than 2.1: update it',
      'the pool is DEGRADED: see "zpool status"',
      'the pool is 90 % full: ZFS slows down above 80 %',
    ]);
    expect(
      warningsOf({ major: 2, minor: 3, text: 'zfs-2.3.0' }, { ...pool, health: 'ONLINE', allocated: 1 }),
    ).toEqual([]);
  });
});

describe('an inspection', () => {
  it.each([
    ['zfs-2.1.3-1', 0],
    ['zfs-2.1.4', 1],
    ['zfs-2.1.13-pve1', 1],
    ['zfs-2.1.14-1', 0],
    ['zfs-2.2.1-1', 1],
    ['zfs-2.2.2-1', 0],
    ['zfs-2.3.0-1', 0],
  ])('warns of versions that damage what is copied: %s (Z7)', (text, count) => {
    const pool = { health: 'ONLINE', size: 1000, allocated: 1, free: 999 };
    const warnings = warningsOf(expectOk(parseVersion(text)), pool);
    expect(warnings).toHaveLength(count);
    if (count > 0) expect(warnings[0]).toContain(text);
  });

  it('of what is no dataset is an error, and runs nothing', async () => {
    expect(expectErr(await inspectZfs('-rf'))).toMatchObject({
      message: '"-rf" is not the name of a dataset',
    });
  });
});
