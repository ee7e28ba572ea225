import { mkdir, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { HashCache } from '../../src/backend/hash-cache.ts';
import { type Exit, err, failed, ok, type StepKey, type StoreError, toHostPath } from '../../src/index.ts';
import { virtualClock } from '../../src/testing/index.ts';
import { save } from '../testing/store-scene.ts';
import { built, gate, listen, openWorld, request, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const AB = '((from base) (run (shell a)) (run (shell b)))';
const FULL: StoreError = { type: 'no-space', message: 'the disk is full' };

describe('a step that is made', () => {
  it('is listed with what it is built on, its title and how long it took', async () => {
    const clock = virtualClock();
    await using world = await openWorld(
      {
        a: async () => {
          await clock.advance(250);
          return 0;
        },
      },
      { clock },
    );
    await clock.advance(1000);
    const a = await built(world.builder, A);
    const base = expectOk(await world.builder.list()).find(({ key }) => key !== a);
    expect(base).toMatchObject({ title: '(from base)', parent: undefined, milliseconds: 0 });
    const step = expectOk(await world.builder.list()).find(({ key }) => key === a);
    expect(step).toMatchObject({ title: '(run (shell a))', parent: base?.key, milliseconds: 250 });
  });

  it.each<readonly [number | Exit, Exit, string]>([
    [3, { type: 'exited', code: 3 }, 'the command exited with 3'],
    [
      { type: 'signalled', signal: 'SIGKILL' },
      ...([{ type: 'signalled', signal: 'SIGKILL' }, 'the command was killed by SIGKILL'] as const),
    ],
  ])(
    'and fails is told with its key, its place in the spec and how it ended: %j',
    async (ended, exit, message) => {
      await using world = await openWorld({ a: async () => ended });
      const key = await plannedKey(world, A);
      const error = expectErr(await world.builder.build(request(A)));
      const op = { op: 'run', command: 'a', network: [], caches: [], secrets: [] };
      expect(error).toEqual({ type: 'step-failed', key, stage: 'main', op, exit, message });
    },
  );

  it('takes the place of a snapshot of its key that nobody promised, which is removed first', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, A);
    const key = await plannedKey(world, AB);
    await save(world.store, { at: key, files: { stray: '' } });
    const signals: unknown[] = [];
    const remove = world.store.remove.bind(world.store);
    world.store.remove = async (at, signal) => {
      if (at === key) signals.push(signal);
      return remove(at, signal);
    };
    expect(await built(world.builder, AB)).toBe(key);
    expect(signals).toEqual([expect.any(AbortSignal)]);
    expect(world.sandbox.ran).toEqual(['a', 'b']);
  });

  it('fails where a snapshot of its key cannot be removed', async () => {
    await using world = await openWorld({ a: writes('a') });
    const key = await plannedKey(world, A);
    await save(world.store, { at: key, files: {} });
    world.store.remove = async () => err(failed('it is busy'));
    expect(expectErr(await world.builder.build(request(A)))).toMatchObject({ error: failed('it is busy') });
    expect(world.sandbox.ran).toEqual([]);
  });

  it('asks the store to remove nothing where nothing is left of it', async () => {
    await using world = await openWorld({ a: writes('a') });
    let removed = 0;
    world.store.remove = async () => {
      removed += 1;
      return ok();
    };
    await built(world.builder, A);
    expect(removed).toBe(0);
  });

  it('has forgotten the hashes of its files from when it was made before, and no others', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const [a, ab] = [await built(world.builder, A), await built(world.builder, AB)];
    const file = join(world.dir, 'file');
    await writeFile(file, '');
    const found = await stat(file, { bigint: true });
    await withHashes(world, (hashes) => {
      for (const key of [a, ab]) {
        hashes.remember(`step/${key}/x`, { stat: found, sha256: '0'.repeat(64), readAt: Date.now() + 1e7 });
      }
    });
    expectOk(await world.builder.remove(ab));
    await built(world.builder, AB);
    await withHashes(world, (hashes) => {
      expect([a, ab].map((key) => hashes.find(`step/${key}/x`, found) !== undefined)).toEqual([true, false]);
    });
  });

  it.each(['was removed', 'could not be removed'])(
    'fails where it %s before, and nobody can see to it that the index will not bring it back',
    async (how) => {
      await using world = await openWorld({ a: writes('a') });
      const a = await built(world.builder, A);
      const remove = world.store.remove.bind(world.store);
      if (how !== 'was removed') world.store.remove = async () => err(failed('it is busy'));
      expect((await world.builder.remove(a)).isOk()).toBe(how === 'was removed');
      world.store.remove = remove;
      await rm(join(world.stateDir, 'index.db-wal'));
      const error = expectErr(await world.builder.build(request(A)));
      expect(error).toMatchObject({ type: 'store', message: expect.stringContaining('index.db-wal') });
      expect(world.sandbox.ran).toEqual(['a']);
      expect(expectOk(await world.builder.list())).toHaveLength(1);
    },
  );

  it('has the store remove what a removal that failed left, though it is not found any more', async () => {
    await using world = await openWorld({ a: writes('a') });
    const a = await built(world.builder, A);
    const remove = world.store.remove.bind(world.store);
    world.store.remove = async () => err(failed('it is busy'));
    expectErr(await world.builder.remove(a));
    expectOk(await remove(a));
    const removed: StepKey[] = [];
    world.store.remove = async (key) => {
      removed.push(key);
      return remove(key);
    };
    await built(world.builder, A);
    expect(removed).toEqual([a]);
  });

  it('fails where its record cannot be written, before anything runs', async () => {
    await using world = await openWorld({ a: writes('a') });
    const a = await plannedKey(world, A);
    await mkdir(join(world.stateDir, 'steps', a.slice(0, 2), `${a}.json.new`), { recursive: true });
    const error = expectErr(await world.builder.build(request(A)));
    expect(error).toMatchObject({ type: 'store', message: expect.stringContaining('EISDIR') });
    expect(world.sandbox.ran).toEqual([]);
  });

  it('is gone from the store, when its build hears of it, if the index could not take note of it', async () => {
    await using world = await openWorld({ a: writes('a') });
    const base = await built(world.builder, '((from base))');
    await world.builder[Symbol.asyncDispose]();
    {
      using db = new DatabaseSync(join(world.stateDir, 'index.db'));
      db.exec(`CREATE TRIGGER refuse BEFORE UPDATE ON steps WHEN NEW.state = 'saved' AND OLD.state != 'saved'
        BEGIN SELECT RAISE(FAIL, 'not now'); END`);
    }
    const builder = await world.reopen();
    const remove = world.store.remove.bind(world.store);
    world.store.remove = async (key) => {
      for (let i = 0; i < 150; i += 1) await stat(world.dir);
      return remove(key);
    };
    expect(expectErr(await builder.build(request(A)))).toMatchObject({ type: 'store', message: 'not now' });
    expect(world.sandbox.ran).toEqual(['a']);
    expect(expectOk(await world.store.list())).toEqual([base]);
  });

  it('is made again where what it is built on was removed while it waited for its turn', async () => {
    const busy = gate('');
    await using world = await openWorld(
      { a: writes('a'), b: writes('b'), busy: busy.command },
      { concurrency: 1 },
    );
    const a = await built(world.builder, A);
    const running = built(world.builder, '((from base) (run (shell busy)))');
    await busy.started;
    const heard = listen();
    const waiting = Promise.withResolvers<void>();
    const onEvent: typeof heard.onEvent = (event) => {
      heard.onEvent(event);
      if (event.type === 'step-queued' && event.source === 'ran') waiting.resolve();
    };
    const build = built(world.builder, AB, { onEvent });
    await waiting.promise;
    expectOk(await world.store.remove(a));
    const noticed = Promise.withResolvers<void>();
    const other = built(world.builder, A, {
      onEvent: (event) => void (event.type === 'note' && noticed.resolve()),
    });
    await noticed.promise;
    busy.open();
    await Promise.all([running, build, other]);
    const notes = heard.events.flatMap((event) => (event.type === 'note' ? event.text : []));
    expect(notes).toEqual([`the snapshot ${a} is gone: it was just removed; building it again`]);
  });

  it('is tried again on a full disk also where its log cannot say so', async () => {
    await using world = await openWorld({ a: async () => 0, b: async () => 0 });
    await built(world.builder, A);
    const logs = join(world.stateDir, 'logs');
    await rm(logs, { recursive: true });
    await writeFile(logs, '');
    const prepare = world.store.prepare.bind(world.store);
    world.store.prepare = async () => {
      world.store.prepare = prepare;
      return err(FULL);
    };
    await built(world.builder, AB);
    expect(world.sandbox.ran).toEqual(['a', 'b']);
  });
});

describe('a base image that is unpacked', () => {
  it('is not saved when its build was cancelled by then', async () => {
    await using world = await openWorld({});
    const stop = new AbortController();
    const unpack = world.fetcher.unpack.bind(world.fetcher);
    world.fetcher.unpack = async (...asked) => {
      const unpacked = await unpack(...asked);
      stop.abort(new Error('enough'));
      return unpacked;
    };
    const { signal } = stop;
    const error = expectErr(await world.builder.build(request('((from base))', { signal })));
    expect(error).toMatchObject({ type: 'cancelled', reason: new Error('enough') });
    expect(expectOk(await world.store.list())).toEqual([]);
  });

  it('is not saved where what it says of commands cannot be recorded', async () => {
    await using world = await openWorld({});
    const key = await plannedKey(world, '((from base))');
    const unpack = world.fetcher.unpack.bind(world.fetcher);
    world.fetcher.unpack = async (...asked) => {
      await mkdir(join(world.stateDir, 'steps', key.slice(0, 2), `${key}.json.new`));
      return unpack(...asked);
    };
    const error = expectErr(await world.builder.build(request('((from base))')));
    expect(error).toMatchObject({ type: 'store', message: expect.stringContaining('EISDIR') });
    expect(expectOk(await world.store.list())).toEqual([]);
  });
});

async function plannedKey({ builder }: World, spec: string): Promise<StepKey> {
  return expectOk(await builder.plan(request(spec))).at(-1)?.key as StepKey;
}

/** Closes the builder meanwhile. */
async function withHashes(world: World, work: (hashes: HashCache) => void): Promise<void> {
  await world.builder[Symbol.asyncDispose]();
  {
    using hashes = HashCache.open(toHostPath(world.stateDir));
    work(hashes);
  }
  await world.reopen();
}
