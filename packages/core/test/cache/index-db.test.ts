import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expectErr, expectOk, needs, tempDir, tmpfsVolume } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/backend/clock.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { err, failed, ok, type StepKey, toHostPath } from '../../src/index.ts';

import { built, openWorld, writes } from '../build/world.ts';
import { key } from './keys.ts';

describe('the index', () => {
  // OBuilder declared its foreign keys, and never turned them on.
  it('refuses a step whose parent it does not know, and a name for one (P14)', async () => {
    await using place = await openIndex();
    const step = { parent: key(9), op: 'run', title: 'run' };
    expect(() => place.index.begin(key(1), step)).toThrow('FOREIGN KEY');
    expect(() => place.index.alias(key(2), key(9))).toThrow('FOREIGN KEY');
    expect([...place.index.states().keys()]).toEqual([]);
  });

  it('forgets with a step what was known by its names, and keeps its children (P14)', async () => {
    await using place = await openIndex();
    const { index } = place;
    save(index, key(1), undefined);
    save(index, key(2), key(1));
    index.alias(key(3), key(1));
    expect(index.resolveAlias(key(3))).toBe(key(1));
    index.forget(key(1));
    expect(index.resolveAlias(key(3))).toBeUndefined();
    expect(index.list().map((step) => [step.key, step.parent])).toEqual([[key(2), undefined]]);
  });

  it('says of no step that was removed and made again that it has children it has lost (P13)', async () => {
    await using place = await openIndex();
    const { index } = place;
    save(index, key(1), undefined);
    for (let time = 0; time < 3; time += 1) {
      save(index, key(2), key(1));
      expect(index.hasChildren(key(1))).toBe(true);
      index.forget(key(2));
    }
    expect(index.hasChildren(key(1))).toBe(false);
    expect(index.firstLeaf(() => true)?.key).toBe(key(1));
  });
});

needs('root')('an index whose disk is full', () => {
  it('tells what went when steps are marked as durable, if there is room by then', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 4 });
    using index = IndexDb.open(toHostPath(disk.path), systemClock);
    save(index, key(1), undefined);
    await fill(disk.path);
    index.forget(key(1));
    expect(rows(disk.path)).toEqual([key(1)]);
    await rm(join(disk.path, 'filler'));
    index.markDurable([]);
    expect(rows(disk.path)).toEqual([]);
  });

  it('answers as if it had been told what went, and tells it later', async () => {
    await using disk = await tmpfsVolume({ sizeMiB: 4 });
    using index = IndexDb.open(toHostPath(disk.path), systemClock);
    save(index, key(1), undefined);
    save(index, key(2), key(1));
    save(index, key(3), key(1));
    await fill(disk.path);
    // Each of them is more than the log of the file has room for.
    for (let round = 0; round < 500; round += 1) index.touch([key(1)]);
    index.forget(key(2));
    index.removing(key(3));
    expect(rows(disk.path)).toContain(key(2));
    expect(index.states()).toEqual(
      new Map([
        [key(1), 'saved'],
        [key(3), 'removing'],
      ]),
    );
    expect(index.isSaved(key(3))).toBe(false);
    expect(index.children(key(1))).toEqual([key(3)]);
    index.forget(key(3));
    expect(index.hasChildren(key(1))).toBe(false);
    expect(index.firstLeaf(() => true)?.key).toBe(key(1));
    expect(() => index.begin(key(2), { parent: key(1), op: 'run', title: 'again' })).toThrow('full');
    await rm(join(disk.path, 'filler'));
    save(index, key(2), key(1));
    expect(index.list().map((step) => step.key)).toEqual([key(1), key(2)]);
    expect(rows(disk.path)).not.toContain(key(3));
  });
});

describe('a step in the index', () => {
  it('is told of as it was begun and saved', async () => {
    await using dir = await tempDir();
    const time = new Date('2026-01-01');
    using index = IndexDb.open(toHostPath(dir.path), { now: () => time.getTime() });
    save(index, key(1), undefined);
    index.begin(key(2), { parent: key(1), op: 'copy', title: '(copy a b)' });
    index.saved(key(2), 12.6);
    const step = { key: key(2), parent: key(1), title: '(copy a b)' };
    const expected = { ...step, savedAt: time, usedAt: time, milliseconds: 13 };
    expect(index.list()[1]).toEqual(expected);
    expect(index.firstLeaf(() => true)).toEqual(expected);
    expect(index.similar('copy', 9)).toEqual([key(2)]);
    expect([1, 2, 3].map((number) => index.parentOf(key(number)))).toEqual([undefined, key(1), undefined]);
  });

  it('need not be made durable any more when it was forgotten', async () => {
    await using place = await openIndex();
    save(place.index, key(1), undefined);
    place.index.forget(key(1));
    expect(place.index.unsynced.size).toBe(0);
  });

  it('that was just forgotten is begun again only when no power cut can bring back its row', async () => {
    await using dir = await tempDir();
    using index = IndexDb.open(toHostPath(dir.path), systemClock);
    save(index, key(1), undefined);
    expect(await index.beginDurably(key(1))).toBeUndefined();
    index.forget(key(1));
    const log = join(dir.path, 'index.db-wal');
    await rename(log, `${log}.away`);
    expectErr((await index.beginDurably(key(1))) ?? ok());
    await rename(`${log}.away`, log);
    expectOk((await index.beginDurably(key(1))) ?? err(failed('nothing was waited for')));
    expect(await index.beginDurably(key(1))).toBeUndefined();
  });
});

it.each([
  ['the next look at it', '2025-12-01', '2026-01-01'],
  ['a look for what is unused until now', '2026-01-01', '2026-01-01'],
  ['it was, where the clock seems to be behind', '2026-01-02', '2030-01-01'],
])('a step that a clock ahead of time used last is as old as %s', async (_, unusedSince, usedAt) => {
  await using dir = await tempDir();
  const time = { now: Date.parse('2030-01-01') };
  using index = IndexDb.open(toHostPath(dir.path), { now: () => time.now });
  save(index, key(1), undefined);
  time.now = Date.parse('2026-01-01');
  index.mendClock(new Date(unusedSince));
  expect(index.list()[0]?.usedAt).toEqual(new Date(usedAt));
});

it('an index of an older version is emptied: its keys are made in another way', async () => {
  await using dir = await tempDir();
  const old = new DatabaseSync(join(dir.path, 'index.db'));
  old.exec(
    "CREATE TABLE steps (key TEXT PRIMARY KEY) STRICT; INSERT INTO steps VALUES ('a'); PRAGMA user_version = 1",
  );
  old.close();
  using index = IndexDb.open(toHostPath(dir.path), systemClock);
  expect(index.states().size).toBe(0);
  expect(index.isUnfilled).toBe(false);
});

describe('a builder whose steps were pruned in every order', () => {
  it('has none that keeps another for ever (P13)', async () => {
    const names = ['a', 'b', 'c'];
    await using world = await openWorld(Object.fromEntries(names.map((name) => [name, writes(name)])));
    for (let round = 0; round < 3; round += 1) {
      for (const name of names) {
        await built(world.builder, `((from base) (run (shell a)) (run (shell ${name})))`);
        expectOk(await world.builder.prune({ limit: 1 }));
      }
    }
    expectOk(await world.builder.prune({}));
    expect(expectOk(await world.store.list())).toEqual([]);
  });
});

async function openIndex(): Promise<AsyncDisposable & { readonly index: IndexDb }> {
  const dir = await tempDir();
  const index = IndexDb.open(toHostPath(dir.path), systemClock);
  return {
    index,
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** Leaves no room for another page. */
async function fill(directory: string): Promise<void> {
  const filler = join(directory, 'filler');
  await writeFile(filler, '');
  for (const size of [65_536, 4096]) {
    const chunk = Buffer.alloc(size);
    for (;;) {
      const isWritten = await writeFile(filler, chunk, { flag: 'a' }).then(
        () => true,
        () => false,
      );
      if (!isWritten) break;
    }
  }
}

/** What stands in the file, for another process that may look. */
function rows(directory: string): unknown[] {
  const copy = mkdtempSync(join(tmpdir(), 'snapstep-test-'));
  try {
    for (const suffix of ['', '-wal'])
      copyFileSync(join(directory, `index.db${suffix}`), join(copy, `index.db${suffix}`));
    const db = new DatabaseSync(join(copy, 'index.db'));
    const found = db.prepare('SELECT key FROM steps').all();
    db.close();
    return found.map((row) => row.key);
  } finally {
    rmSync(copy, { recursive: true });
  }
}

function save(index: IndexDb, at: StepKey, parent: StepKey | undefined): void {
  index.begin(at, { parent, op: 'run', title: 'run' });
  index.saved(at, 1);
}
