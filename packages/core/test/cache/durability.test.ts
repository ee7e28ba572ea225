import { existsSync } from 'node:fs';
import { copyFile, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/backend/clock.ts';
import { toCacheId } from '../../src/backend/names.ts';
import { Durability } from '../../src/cache/durability.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import {
  err,
  failed,
  ok,
  type Result,
  type StepKey,
  type StoreError,
  toHostPath,
  toStepKey,
} from '../../src/index.ts';
import { built, listen, openWorld, request, type World, writes } from '../build/world.ts';

const A = '((from base) (run (shell a)))';
const CACHED = '((from base) (run (cache (c (target /c))) (shell a)))';
const KEY = toStepKey('1'.repeat(64));
const OTHER = toStepKey('2'.repeat(64));
const EARLIER = 'a boot before this one';

describe('a step that is saved', () => {
  it('is marked as durable once its disk was synced, and when the builder is closed', async () => {
    await using world = await openWorld({ a: writes('a') });
    const syncs = countSyncs(world);
    await built(world.builder, A);
    await world.builder[Symbol.asyncDispose]();
    expect(syncs.count).toBe(1);
    expect(boots(world)).toEqual([null, null]);
  });

  it('is not marked where its disk cannot be synced, and is still there in the same boot', async () => {
    await using world = await openWorld({ a: writes('a') });
    world.store.sync = async () => err(failed('the disk does not answer'));
    await built(world.builder, A);
    const heard = listen();
    await built(await world.reopen(), A, heard);
    expect(heard.sources()).toEqual(['cache', 'cache']);
    await world.builder[Symbol.asyncDispose]();
    expect(boots(world)).not.toContain(null);
  });

  it('is synced when a builder is opened after one that was killed before it could', async () => {
    await using world = await openWorld({ a: writes('a') });
    world.store.sync = async () => err(failed('killed'));
    await built(world.builder, A);
    await world.builder[Symbol.asyncDispose]();
    world.store.sync = async () => ok();
    await world.reopen();
    await world.builder[Symbol.asyncDispose]();
    expect(boots(world)).toEqual([null, null]);
  });

  it('is not marked by a sync that began before it was removed and made again', async () => {
    await using dir = await tempDir();
    const stateDir = toHostPath(dir.path);
    using index = IndexDb.open(stateDir, systemClock);
    const mayEnd = Promise.withResolvers<void>();
    const hasBegun = Promise.withResolvers<void>();
    const sync = async (): Promise<Result<void, StoreError>> => {
      hasBegun.resolve();
      await mayEnd.promise;
      return ok();
    };
    const durability = new Durability({ index, store: { sync }, stateDir, clock: systemClock });
    for (const key of [KEY, OTHER]) save(index, key);
    const synced = durability.sync();
    await hasBegun.promise;
    index.forget(KEY);
    save(index, KEY);
    mayEnd.resolve();
    await synced;
    expect([...index.unsynced]).toEqual([KEY]);
    await durability[Symbol.asyncDispose]();
    expect([...index.unsynced]).toEqual([]);
  });
});

describe('after the machine went down', () => {
  it('a step that was not durable is forgotten, and made again from what was', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const a = await built(world.builder, A);
    const b = await built(world.builder, '((from base) (run (shell a)) (run (shell b)))');
    await goDown(world, [b]);
    await world.reopen();
    expect(await keys(world)).not.toContain(b);
    expect(expectOk(await world.store.lookup(b))).toBeUndefined();
    expect(await keys(world)).toContain(a);
    const heard = listen();
    await built(world.builder, '((from base) (run (shell a)) (run (shell b)))', heard);
    expect(heard.sources()).toEqual(['cache', 'cache', 'ran']);
  });

  it('a cache that was not durable is dropped, and others stay', async () => {
    await using world = await openWorld({ a: writes('a') });
    await fillCache(world, 'lost');
    await fillCache(world, 'kept');
    await world.builder[Symbol.asyncDispose]();
    change(world, (db) => db.prepare('INSERT INTO unsynced_caches VALUES (?, ?)').run('lost', EARLIER));
    await world.reopen();
    expect(expectOk(await world.builder.caches.list())).toEqual(['kept']);
  });

  it('an index that is lost as well gets back only what an earlier boot had made durable', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const b = '((from base) (run (shell b)))';
    const [old, last] = [await built(world.builder, A), await built(world.builder, b)];
    await fillCache(world, 'c');
    await world.builder[Symbol.asyncDispose]();
    await rm(join(world.stateDir, 'index.db'));
    await writeFile(join(world.stateDir, 'boot'), 'the last boot\n');
    await ranIn(world, old, 'the boot before it');
    await ranIn(world, last, 'the last boot');
    await world.reopen();
    expect(await keys(world)).toContain(old);
    expect(await keys(world)).not.toContain(last);
    expect(expectOk(await world.builder.caches.list())).toEqual([]);
  });
});

describe('a cache that a step may change', () => {
  it('is marked before its new version appears, and not any more once that is durable', async () => {
    await using world = await openWorld({ a: writes('a') });
    const seen: unknown[] = [];
    const { caches } = world.store;
    const checkOut = caches.checkOut.bind(caches);
    caches.checkOut = async (id, owner) => {
      const copy = expectOk(await checkOut(id, owner));
      const publish = copy.publish.bind(copy);
      copy.publish = async () => {
        seen.push(...(await marksOfCopy(world)));
        return publish();
      };
      return ok(copy);
    };
    await built(world.builder, CACHED);
    expect(seen).toEqual(['c']);
    await world.builder[Symbol.asyncDispose]();
    expect(marks(world)).toEqual([]);
    expect(expectOk(await world.store.caches.list())).toEqual(['c']);
  });
});

it('a builder alone has its index open, and needs no memory shared with others for that', async () => {
  await using world = await openWorld({ a: writes('a') });
  await built(world.builder, A);
  expect(existsSync(join(world.stateDir, 'index.db-wal'))).toBe(true);
  expect(existsSync(join(world.stateDir, 'index.db-shm'))).toBe(false);
});

it('a plan leaves no record of a step that did not run, and explains it all the same', async () => {
  await using world = await openWorld({ a: writes('a') });
  const planned = expectOk(await world.builder.plan(request(A)));
  const key = planned.at(-1)?.key as StepKey;
  expect(expectOk(await world.builder.explain(key)).inputs).toMatchObject({ op: 'run' });
  expect(existsSync(recordOf(world, key))).toBe(false);
});

function save(index: IndexDb, key: StepKey): void {
  index.begin(key, { parent: undefined, op: 'run', title: 'run' });
  index.saved(key, 1);
}

function countSyncs(world: World): { readonly count: number } {
  const counter = { count: 0 };
  const sync = world.store.sync.bind(world.store);
  world.store.sync = () => {
    counter.count += 1;
    return sync();
  };
  return counter;
}

async function fillCache({ store }: World, id: string): Promise<void> {
  const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };
  await using copy = expectOk(await store.caches.checkOut(toCacheId(id), owner));
  expectOk(await copy.publish());
}

/** What a power cut leaves of the index, where these steps were saved and not durable. */
async function goDown(world: World, lost: readonly StepKey[]): Promise<void> {
  await world.builder[Symbol.asyncDispose]();
  change(world, (db) => {
    for (const key of lost) db.prepare('UPDATE steps SET boot = ? WHERE key = ?').run(EARLIER, key);
  });
}

function boots(world: World): unknown[] {
  return change(world, (db) =>
    db
      .prepare('SELECT boot FROM steps')
      .all()
      .map(({ boot }) => boot),
  );
}

/** A builder that is open lets nobody else look. */
async function marksOfCopy({ stateDir, dir }: World): Promise<unknown[]> {
  for (const suffix of ['', '-wal'])
    await copyFile(join(stateDir, `index.db${suffix}`), join(dir, `index.db${suffix}`));
  return marks({ stateDir: dir });
}

function marks(world: Pick<World, 'stateDir'>): unknown[] {
  return change(world, (db) =>
    db
      .prepare('SELECT id FROM unsynced_caches')
      .all()
      .map(({ id }) => id),
  );
}

function change<T>({ stateDir }: Pick<World, 'stateDir'>, work: (db: DatabaseSync) => T): T {
  const db = new DatabaseSync(join(stateDir, 'index.db'));
  try {
    return work(db);
  } finally {
    db.close();
  }
}

async function keys(world: World): Promise<readonly StepKey[]> {
  return expectOk(await world.builder.list()).map(({ key }) => key);
}

function recordOf({ stateDir }: World, key: StepKey): string {
  return join(stateDir, 'steps', key.slice(0, 2), `${key}.json`);
}

async function ranIn(world: World, key: StepKey, boot: string): Promise<void> {
  const path = recordOf(world, key);
  await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), boot }));
}
