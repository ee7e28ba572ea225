import {
  mkdirSync,
  readdirSync,
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
import { NOW, openCache, ROWS, SHA256, settledAt } from './hash-place.ts';

/** What may have become of `hashes.db` while nobody had it open, or while it was open. */
const DAMAGES: readonly (readonly [what: string, damage: (file: string) => void])[] = [
  ['is gone', (file) => rmSync(file)],
  ['is empty', (file) => truncateSync(file)],
  ['ends in the middle', (file) => truncateSync(file, 5000)],
  ['has lost its end', (file) => truncateSync(file, Math.max(0, statSync(file).size - 100))],
  ['is no database', (file) => writeFileSync(file, 'x'.repeat(10_000))],
  ['is garbled in the middle', (file) => garble(file, 4096)],
  ['is garbled in each page', (file) => garble(file, 100)],
  ['is a directory with files', (file) => makeDirectory(file)],
  ['is a link to nowhere', (file) => replaced(file, () => symlinkSync('/nowhere/at/all', file))],
  ['is the database of another program', (file) => replaced(file, () => otherDatabase(file))],
  ['has a directory in the place of its write-ahead log', (file) => makeDirectory(`${file}-wal`)],
  ['has a directory in the place of its journal', (file) => makeDirectory(`${file}-journal`)],
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

  it('shows damage while it is open is begun anew at once, and nothing else stays open', async () => {
    await using place = await openCache();
    const stat = place.fill();
    place.close();
    place.sql("UPDATE file SET sha256 = 'wrong' WHERE name = 'f-7'");
    place.reopen();
    expect(place.cache.find('f-1', stat)).toBe(SHA256);
    const before = readdirSync('/dev/fd').length;
    expect(place.cache.find('f-7', stat)).toBeUndefined();
    expect(readdirSync('/dev/fd').length).toBe(before);
    expect(place.cache.find('f-1', stat)).toBeUndefined();
    place.keep('new');
    place.reopen();
    expect(place.cache.find('new', stat)).toBe(SHA256);
  });

  it('takes nothing is begun anew', async () => {
    await using place = await openCache();
    place.close();
    place.sql("CREATE TRIGGER t BEFORE INSERT ON file BEGIN SELECT RAISE(ABORT, 'refused'); END");
    place.reopen();
    place.keep('lost');
    const stat = place.keep('new');
    expect(place.cache.find('new', stat)).toBe(SHA256);
  });

  it('is refused when it is opened does not stay open', async () => {
    await using place = await openCache();
    place.keep('f');
    const before = readdirSync('/dev/fd').length;
    place.close();
    place.sql("UPDATE boot SET id = 'another'");
    place.reopen();
    expect(readdirSync('/dev/fd').length).toBe(before);
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

  it('another program has locked is waited for a moment, and then replaced', async () => {
    await using place = await openCache();
    place.fill();
    place.close();
    using other = new DatabaseSync(place.file);
    other.exec('BEGIN EXCLUSIVE');
    const start = performance.now();
    place.reopen();
    expect(performance.now() - start).toBeGreaterThan(90);
    const stat = place.keep('new');
    expect(place.cache.find('new', stat)).toBe(SHA256);
    place.reopen();
    expect(place.cache.find('new', stat)).toBe(SHA256);
  });

  it('is damaged is begun anew also where it may be shared', async () => {
    await using place = await openCache({ isShared: true });
    place.close();
    writeFileSync(place.file, 'x'.repeat(10_000));
    place.reopen();
    const stat = place.keep('new');
    place.reopen();
    expect(place.cache.find('new', stat)).toBe(SHA256);
  });
});

it('hashes are remembered in memory alone where no file can be made', async () => {
  await using dir = await tempDir();
  const stat = settledAt(dir.path);
  const before = readdirSync('/dev/fd').length;
  using cache = HashCache.open(toHostPath(join(dir.path, 'not-there')));
  const sha256 = 'a'.repeat(1000);
  for (let i = 0; i < 6000; i += 1) cache.remember(`f-${i}`, { stat, sha256, readAt: NOW });
  expect(cache.find('f-1', stat)).toBe(sha256);
  expect(readdirSync('/dev/fd').length).toBe(before);
});

needs('root')('on a disk that lets nothing be written', () => {
  it('hashes are remembered in memory', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 8 });
    await execa('mount', ['-o', 'remount,ro', disk.path]);
    using cache = HashCache.open(toHostPath(disk.path));
    const stat = settledAt(disk.path);
    cache.remember('f', { stat, sha256: SHA256, readAt: NOW });
    cache.flush();
    expect(cache.find('f', stat)).toBe(SHA256);
  });

  it('a full disk fails nothing, and keeps what is known', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 1 });
    const path = toHostPath(disk.path);
    const stat = settledAt(path);
    using cache = HashCache.open(path);
    cache.remember('known', { stat, sha256: SHA256, readAt: NOW });
    cache.flush();
    await execa('fallocate', ['-l', '2M', join(path, 'large')], { reject: false });
    for (let i = 0; i < 5000; i += 1) cache.remember(`f-${i}`, { stat, sha256: SHA256, readAt: NOW });
    cache.flush();
    expect(cache.find('known', stat)).toBe(SHA256);
  });

  it('a full disk keeps no hash that was to be forgotten', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 1 });
    const path = toHostPath(disk.path);
    const stat = settledAt(path);
    using cache = HashCache.open(path);
    cache.remember('step/aa/f', { stat, sha256: SHA256, readAt: NOW });
    cache.flush();
    expect(cache.find('step/aa/f', stat)).toBe(SHA256);
    expect(() => writeFileSync(join(path, 'large'), Buffer.alloc(2 * 1024 * 1024))).toThrow('ENOSPC');
    cache.forget('step/aa');
    expect(cache.find('step/aa/f', stat)).toBeUndefined();
  });
});

/** Writes over 60 bytes of each page. */
function garble(file: string, from: number): void {
  const bytes = readFileSync(file);
  for (let at = from; at < bytes.length; at += 4096) bytes.fill(0xa5, at, at + 60);
  writeFileSync(file, bytes);
}

/** With something in it, whatever was there. */
function makeDirectory(path: string): void {
  rmSync(path, { force: true });
  mkdirSync(join(path, 'x'), { recursive: true });
}

function replaced(file: string, make: () => void): void {
  rmSync(file);
  make();
}

function otherDatabase(file: string): void {
  using db = new DatabaseSync(file);
  db.exec('CREATE TABLE file (name TEXT)');
}
