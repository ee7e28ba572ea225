import {
  type BigIntStats,
  lstatSync,
  mkdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { needs, tempDir, tmpfsVolume } from '@snapstep/test-support';
import { execa } from 'execa';
import { describe, expect, it } from 'vitest';
import { HashCache } from '../../src/backend/hash-cache.ts';
import { toHostPath } from '../../src/index.ts';

const NOW = Date.parse('2026-03-04T05:06:07.900Z');
const SHA256 = 'a'.repeat(64);

describe('the hash of a file', () => {
  it.each([
    ['a moment before', '2026-03-04T05:06:07.850Z', false],
    ['a fifth of a second before', '2026-03-04T05:06:07.700Z', true],
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

  it('is forgotten with all of one step, and with nothing of another', async () => {
    await using place = await openCache();
    const names = ['step/aa/f', 'step/aa/~', 'step/aa', 'step/aab/f', 'step/a/f'];
    const [stat] = names.map((name) => place.keep(name));
    place.cache.forget('step/aa');
    const left = names.filter((name) => place.cache.find(name, stat as BigIntStats) !== undefined);
    expect(left).toEqual(['step/aa', 'step/aab/f', 'step/a/f']);
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

/** What may have become of `hashes.db` while nobody had it open, or while it was open. */
const DAMAGES: readonly (readonly [what: string, damage: (file: string) => void])[] = [
  ['is gone', (file) => rmSync(file)],
  ['is empty', (file) => truncateSync(file)],
  ['ends in the middle', (file) => truncateSync(file, 5000)],
  ['has lost its end', (file) => truncateSync(file, Math.max(0, statSync(file).size - 100))],
  ['is no database', (file) => writeFileSync(file, 'x'.repeat(10_000))],
  ['is garbled in the middle', (file) => garble(file, 4096)],
  ['is garbled in each page', (file) => garble(file, 100)],
  [
    'is a directory with files',
    (file) => replaced(file, () => mkdirSync(join(file, 'x'), { recursive: true })),
  ],
  ['is a link to nowhere', (file) => replaced(file, () => symlinkSync('/nowhere/at/all', file))],
  ['is the database of another program', (file) => replaced(file, () => otherDatabase(file))],
];

describe('a file of hashes that', () => {
  it.each(DAMAGES)('%s is begun anew when it is opened', async (_, damage) => {
    await using place = await openCache();
    const stat = place.fill();
    place.close();
    damage(place.file);
    place.reopen();
    expect(place.cache.find('f-1', stat)).toBeOneOf([undefined, SHA256]);
    place.keep('new');
    place.reopen();
    expect(place.cache.find('new', stat)).toBe(SHA256);
  });

  it.each(DAMAGES)('%s while it is open fails nothing and tells nothing wrong', async (_, damage) => {
    await using place = await openCache();
    const stat = place.fill();
    place.reopen();
    damage(place.file);
    for (let i = 0; i < ROWS; i += 1) expect(place.cache.find(`f-${i}`, stat)).toBeOneOf([undefined, SHA256]);
    place.fill();
    place.cache.forget('step/aa');
    place.reopen();
    place.keep('new');
    expect(place.cache.find('new', stat)).toBe(SHA256);
  });

  it('has one wrong byte in a hash does not tell that hash', async () => {
    await using place = await openCache();
    const stat = place.fill();
    place.close();
    writeFileSync(
      place.file,
      readFileSync(place.file, 'latin1').replaceAll('aaaaaaaa', 'aaaabaaa'),
      'latin1',
    );
    place.reopen();
    for (let i = 0; i < ROWS; i += 1) expect(place.cache.find(`f-${i}`, stat)).toBeUndefined();
  });

  it('another process has is left to it where it may be shared, and what is found out is kept in memory', async () => {
    await using place = await openCache();
    const stat = place.keep('first');
    using second = HashCache.open(toHostPath(dirname(place.file)), { isShared: true });
    second.remember('second', { stat, sha256: SHA256, readAt: Date.now() });
    second.flush();
    expect(second.find('first', stat)).toBeUndefined();
    expect(second.find('second', stat)).toBe(SHA256);
    place.reopen();
    expect(place.cache.find('first', stat)).toBe(SHA256);
    expect(place.cache.find('second', stat)).toBeUndefined();
  });

  it('another program has locked is replaced', async () => {
    await using place = await openCache();
    place.fill();
    place.close();
    using other = new DatabaseSync(place.file);
    other.exec('BEGIN EXCLUSIVE');
    place.reopen();
    const stat = place.keep('new');
    expect(place.cache.find('new', stat)).toBe(SHA256);
  });
});

needs('root')('on a disk that lets nothing be written', () => {
  it('hashes are remembered in memory', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 8 });
    await execa('mount', ['-o', 'remount,ro', disk.path]);
    using cache = HashCache.open(toHostPath(disk.path));
    const stat = statAt(disk.path, '2026-03-04T05:06:07.700Z');
    cache.remember('f', { stat, sha256: SHA256, readAt: NOW });
    cache.flush();
    expect(cache.find('f', stat)).toBe(SHA256);
  });

  it('a full disk fails nothing, and keeps what is known', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 1 });
    const path = toHostPath(disk.path);
    const stat = statAt(path, '2026-03-04T05:06:07.700Z');
    using cache = HashCache.open(path);
    cache.remember('known', { stat, sha256: SHA256, readAt: NOW });
    cache.flush();
    await execa('fallocate', ['-l', '2M', join(path, 'large')], { reject: false });
    for (let i = 0; i < 5000; i += 1) cache.remember(`f-${i}`, { stat, sha256: SHA256, readAt: NOW });
    cache.flush();
    expect(cache.find('known', stat)).toBe(SHA256);
  });
});

/** Enough for several pages. */
const ROWS = 300;

async function openCache() {
  const dir = await tempDir();
  const open = () => HashCache.open(toHostPath(dir.path));
  let cache = open();
  const file = join(dir.path, 'hashes.db');
  const keep = (name: string): BigIntStats => {
    const stat = statAt(dir.path, '2026-03-04T05:06:07.700Z');
    cache.remember(name, { stat, sha256: SHA256, readAt: NOW });
    cache.flush();
    return stat;
  };
  return {
    ...{ file, keep },
    get cache() {
      return cache;
    },
    statOf: (changed: string | Date) => statAt(dir.path, changed),
    fill: () => Array.from({ length: ROWS }, (_, i) => keep(`f-${i}`))[0] as BigIntStats,
    close: () => cache[Symbol.dispose](),
    reopen: () => {
      cache[Symbol.dispose]();
      cache = open();
    },
    sql: (text: string) => {
      using db = new DatabaseSync(file);
      db.exec(text);
    },
    [Symbol.asyncDispose]: async () => {
      cache[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

const stats = new Map<string, BigIntStats>();

/** A file that changed at a certain time: always the same one of a directory. */
function statAt(path: string, changed: string | Date): BigIntStats {
  const milliseconds = BigInt(new Date(changed).getTime());
  const nanoseconds = milliseconds * 1_000_000n;
  const stat = stats.get(path) ?? lstatSync(path, { bigint: true });
  stats.set(path, stat);
  return Object.assign(Object.create(stat), {
    ...{ ctimeMs: milliseconds, mtimeMs: milliseconds },
    ...{ ctimeNs: nanoseconds, mtimeNs: nanoseconds },
  });
}

/** Writes over 60 bytes of each page. */
function garble(file: string, from: number): void {
  const bytes = readFileSync(file);
  for (let at = from; at < bytes.length; at += 4096) bytes.fill(0xa5, at, at + 60);
  writeFileSync(file, bytes);
}

function replaced(file: string, make: () => void): void {
  rmSync(file);
  make();
}

function otherDatabase(file: string): void {
  using db = new DatabaseSync(file);
  db.exec('CREATE TABLE file (name TEXT)');
}
