import { existsSync } from 'node:fs';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { sweepLeftovers } from '../../src/build/sweep-leftovers.ts';
import type { BuildRequest, StepKey } from '../../src/index.ts';
import { key } from '../cache/keys.ts';
import { openRoom, writeLog } from './room-place.ts';
import { built, gate, openWorld, request, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const BAD = '((from base) (run (shell bad)))';
const HOUR_MS = 3600 * 1000;
const OLD = new Date(Date.now() - HOUR_MS);

describe('a prune', () => {
  it('of a builder that has made nothing finds nothing', async () => {
    await using world = await openWorld({});
    expect(expectOk(await world.builder.prune({}))).toEqual({ removed: [], logBytes: 0 });
  });

  it('has removed the records of steps that failed when it answers, and not those of saved ones', async () => {
    await using world = await openWorld({ a: writes('a'), bad: printsAndFails });
    const [a, bad] = [await built(world.builder, A), await failed(world)];
    for (const key of [a, bad]) await utimes(recordOf(world, key), OLD, OLD);
    expectOk(await world.builder.prune({ unusedSince: new Date(Date.now() - HOUR_MS / 2) }));
    expect(existsSync(recordOf(world, bad))).toBe(false);
    expect(existsSync(recordOf(world, a))).toBe(true);
  });

  it('takes what is older than its policy says, and leaves what was written at that very time', async () => {
    await using world = await openWorld({ bad: printsAndFails });
    const key = await failed(world);
    const files = [logOf(world, key), recordOf(world, key)];
    for (const file of files) await utimes(file, OLD, OLD);
    expectOk(await world.builder.prune({ unusedSince: OLD }));
    expect(files.map((file) => existsSync(file))).toEqual([true, true]);
    expectOk(await world.builder.prune({ unusedSince: new Date(OLD.getTime() + 1) }));
    expect(files.map((file) => existsSync(file))).toEqual([false, false]);
  });

  it('without an age leaves the record of a step that failed just now', async () => {
    await using world = await openWorld({ bad: printsAndFails });
    const key = await failed(world);
    expectOk(await world.builder.prune({ limit: 1 }));
    expect(expectOk(await world.builder.explain(key)).inputs).toMatchObject({ op: 'run' });
  });

  it('removes records that were not written to their end, and nothing that is no record of a step', async () => {
    await using world = await openWorld({});
    const [half, directory] = ['a', 'b'].map((letter) => recordOf(world, letter.repeat(64))) as [
      string,
      string,
    ];
    const stranger = join(world.stateDir, 'steps', 'README');
    await mkdir(directory, { recursive: true });
    await mkdir(dirname(half));
    await writeFile(`${half}.new`, '{');
    await writeFile(stranger, '');
    expectOk(await world.builder.prune({}));
    expect([`${half}.new`, directory, stranger].map((path) => existsSync(path))).toEqual([false, true, true]);
  });

  it('leaves what is left of a step that waits to run again', async () => {
    const busy = gate('');
    await using world = await openWorld({ bad: printsAndFails, busy: busy.command }, { concurrency: 1 });
    const key = await failed(world);
    const first = built(world.builder, '((from base) (run (shell busy)))');
    await busy.started;
    const waiting = Promise.withResolvers<void>();
    const onEvent: BuildRequest['onEvent'] = (event) => {
      if (event.type === 'step-queued' && event.op.op === 'run') waiting.resolve();
    };
    const second = world.builder.build(request(BAD, { onEvent }));
    await waiting.promise;
    expect(expectOk(await world.builder.prune({})).logBytes).toBe(0);
    expect(expectOk(await world.builder.explain(key)).key).toBe(key);
    busy.open();
    await first;
    expectErr(await second);
  });

  it('leaves what is left of a step that a build is removing, since its snapshot is gone', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await built(world.builder, A);
    const base = expectOk(await world.builder.list()).find(({ title }) => title === '(from base)')?.key;
    for (const key of expectOk(await world.store.list())) expectOk(await world.store.remove(key));
    const remove = world.store.remove.bind(world.store);
    const [removing, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    world.store.remove = async (key, signal) => {
      if (key === base) removing.resolve();
      if (key === base) await go.promise;
      return remove(key, signal);
    };
    const build = built(world.builder, '((from base) (run (shell a)) (run (shell b)))');
    await removing.promise;
    expect(expectOk(await world.builder.prune({})).logBytes).toBe('wrote a\n'.length);
    expect(existsSync(logOf(world, base ?? ''))).toBe(true);
    go.resolve();
    await build;
  });

  it('leaves what a step left that was saved meanwhile', async () => {
    await using place = await openRoom({ steps: 0 });
    const [first, last] = [await writeLog(place.stateDir, key(1)), await writeLog(place.stateDir, key(2))];
    await utimes(first, OLD, OLD);
    const remove = place.records.remove.bind(place.records);
    place.records.remove = async (at) => {
      if (at === key(1)) place.index.begin(key(2), { parent: undefined, op: 'run', title: 'run' });
      if (at === key(1)) place.index.saved(key(2), 1);
      return remove(at);
    };
    await sweepLeftovers(place, { before: Number.POSITIVE_INFINITY });
    expect([first, last].map((path) => existsSync(path))).toEqual([false, true]);
  });

  it('may be asked for twice at once', async () => {
    await using world = await openWorld({});
    const records = Array.from({ length: 20 }, (_, i) => recordOf(world, `${i}`.padStart(64, '0')));
    for (const record of records) await writeOld(record, 0);
    const both = await Promise.all([world.builder.prune({}), world.builder.prune({})]);
    for (const pruned of both) expectOk(pruned);
    expect(records.filter((record) => existsSync(record))).toEqual([]);
  });
});

describe('logs of steps that failed', () => {
  it('are kept as long as they fit, to the last byte, and then the oldest goes with its record', async () => {
    await using world = await openWorld({ bad: printsAndFails }, { keepFailedLogs: { maxBytes: 20 } });
    const keys: StepKey[] = [];
    for (const number of [1, 2, 3]) {
      keys.push(await failed(world, `(env N ${number})`));
      expectOk(await world.builder.prune({ limit: 1 }));
      const isLeft = (path: (world: World, key: string) => string): boolean[] =>
        keys.map((key) => existsSync(path(world, key)));
      const wanted = [[true], [true, true], [false, true, true]][number - 1];
      expect([isLeft(logOf), isLeft(recordOf)]).toEqual([wanted, wanted]);
    }
  });

  it('are kept for ever where the builder is told so', async () => {
    const keepFailedLogs = { maxAgeMs: Number.POSITIVE_INFINITY, maxBytes: 70 };
    await using world = await openWorld({ bad: printsAndFails }, { keepFailedLogs });
    const key = await failed(world);
    await utimes(logOf(world, key), 0, 0);
    await failed(world, '(env N 1)');
    expectOk(await world.builder.prune({ limit: 1 }));
    expect(existsSync(logOf(world, key))).toBe(true);
  });

  it('are not made to go by those of steps that are saved', async () => {
    const chatty: typeof printsAndFails = async (io) => {
      for (let i = 0; i < 10; i += 1) await printsAndFails(io);
      return 0;
    };
    await using world = await openWorld(
      { a: chatty, bad: printsAndFails },
      { keepFailedLogs: { maxBytes: 50 } },
    );
    await built(world.builder, A);
    const bad = await failed(world);
    expectOk(await world.builder.prune({ maxObjects: 10 }));
    expect(existsSync(logOf(world, bad))).toBe(true);
  });

  it('are looked through again only after an eighth of what may be kept was added', async () => {
    await using world = await openWorld({ bad: printsAndFails }, { keepFailedLogs: { maxBytes: 160 } });
    const aged = logOf(world, '0'.repeat(64));
    const seen: boolean[] = [];
    for (let number = 1; number <= 6; number += 1) {
      await writeOld(aged, 0);
      await failed(world, `(env N ${number})`);
      seen.push(existsSync(aged));
    }
    expect(seen).toEqual([true, true, false, true, true, false]);
  });

  it.each([
    [100, { total: 100 }],
    [Number.POSITIVE_INFINITY, {}],
  ])('are told by usage, of %d bytes that may be kept', async (maxBytes, total) => {
    await using world = await openWorld({ bad: printsAndFails }, { keepFailedLogs: { maxBytes } });
    await failed(world);
    const usage = expectOk(await world.builder.usage()).filter(({ axis }) => axis.includes('log'));
    expect(usage).toEqual([
      { axis: 'log-bytes', used: 10 + 'unpacked base\n'.length },
      { axis: 'failed-log-bytes', used: 10, ...total },
    ]);
  });
});

const printsAndFails = async ({ request: { output } }: Parameters<ReturnType<typeof writes>>[0]) => {
  await output.write('123456789\n');
  return 1;
};

/** The key of a step that fails. */
async function failed({ builder }: World, ops = ''): Promise<StepKey> {
  const error = expectErr(await builder.build(request(BAD.replace('(run', `${ops} (run`))));
  if (error.type !== 'step-failed') throw new Error(`the build ended otherwise: ${error.type}`);
  return error.key;
}

function logOf({ stateDir }: World, key: string): string {
  return join(stateDir, 'logs', key.slice(0, 2), `${key}.log`);
}

function recordOf({ stateDir }: World, key: string): string {
  return join(stateDir, 'steps', key.slice(0, 2), `${key}.json`);
}

/** A file of many years ago. */
async function writeOld(path: string, second: number): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, 'text');
  await utimes(path, second, second);
}
