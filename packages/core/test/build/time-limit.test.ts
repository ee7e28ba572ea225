import { mkdir, open } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { inTime } from '../../src/build/time-limit.ts';
import {
  type BuildEvent,
  cancelled,
  err,
  failed,
  ok,
  type Result,
  type StepKey,
  toHostPath,
} from '../../src/index.ts';
import { type VirtualClock, virtualClock } from '../../src/testing/index.ts';
import { built, openWorld, request, type World } from './world.ts';

/** Nobody reads so much while a test waits. */
const ENDLESS = 8_000_000_000_000;
const STAGE = '((from base) (run (shell make)))';
const TIMEOUT = { type: 'limit-exceeded', limit: 'timeoutMs' };

describe('the time limit of a build', () => {
  it('ends the look at a file of the context that is read without an end, and other builds go on', async () => {
    await using place = await openPlace();
    await sparse(place.context, 'big');
    const copying = place.build('((from base) (copy (src big) (dst /big)))');
    await built(place.world.builder, '((from base) (run (shell make)))');
    await place.passTime();
    expect(expectErr(await copying)).toMatchObject({
      type: 'invalid-context',
      message: expect.stringMatching(/^looking at "big" took longer than its limit of 2000 ms \(timeoutMs\)/),
    });
  });

  it.each([
    ['the context', '((from base) (copy (src big) (dst /big)))'],
    ['a stage', `((build s ${STAGE}) (from base) (copy (from (build s)) (src big) (dst /big)))`],
  ])('ends the look at %s where it is over at once, before any step begins', async (_, spec) => {
    await using place = await openPlace();
    const key = await built(place.world.builder, STAGE);
    for (const directory of [place.context, await placeOf(place.world, key)])
      await sparse(directory, 'big', 100 * 1024 * 1024);
    const { setTimer } = place.clock;
    place.clock.setTimer = (milliseconds, fire) => {
      if (milliseconds === 2000) fire();
      return setTimer.call(place.clock, milliseconds, fire);
    };
    expect(expectErr(await place.build(spec))).toMatchObject({
      type: 'invalid-context',
      message: expect.stringContaining('looking at "big" took longer than its limit of 2000 ms'),
    });
  });

  it('ends the look at a file of a stage that is read without an end', async () => {
    await using place = await openPlace();
    const key = await built(place.world.builder, STAGE);
    await sparse(await placeOf(place.world, key), 'big');
    const copying = place.build(`((build s ${STAGE}) (from base) (copy (from (build s)) (src big) (dst /)))`);
    await place.passTime();
    expect(expectErr(await copying)).toMatchObject({
      type: 'invalid-context',
      message: expect.stringContaining('looking at "big" took longer than its limit of 2000 ms'),
    });
  });

  it('ends a base image that does not arrive, which is fetched again for who has more time', async () => {
    await using place = await openPlace();
    const { fetcher } = place.world;
    const unpack = fetcher.unpack.bind(fetcher);
    const asked = Promise.withResolvers<void>();
    let times = 0;
    fetcher.unpack = async (image, into, io) => {
      times += 1;
      if (times > 1) return unpack(image, into, io);
      asked.resolve();
      await new Promise((resolve) => io.signal.addEventListener('abort', resolve));
      return err(cancelled(io.signal));
    };
    const short = place.build('((from base))');
    await asked.promise;
    const joined = Promise.withResolvers<void>();
    const onEvent = (event: BuildEvent): void => {
      if (event.type === 'step-started' && event.source === 'joined') joined.resolve();
    };
    const long = place.world.builder.build(request('((from base))', { onEvent }));
    await joined.promise;
    await place.passTime();
    const message = 'the step took longer than its limit of 2000 ms (timeoutMs)';
    expect(expectErr(await short)).toMatchObject({ type: 'step-failed', exit: TIMEOUT, message });
    await expectOk(await long)[Symbol.asyncDispose]();
  });

  it('is no matter to what was done before', async () => {
    await using place = await openPlace();
    await using _result = expectOk(await place.build('((from base))'));
    await place.passTime();
    await expectOk(await place.build('((from base) (run (shell make)))'))[Symbol.asyncDispose]();
  });
});

describe('a base image that is fetched slowly', () => {
  it('keeps no step waiting, however few may run at once', async () => {
    await using place = await openPlace({ concurrency: 1 });
    await built(place.world.builder, '((from other))');
    const { fetcher } = place.world;
    const [asked, enough] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const unpack = fetcher.unpack.bind(fetcher);
    fetcher.unpack = async (...all) => {
      asked.resolve();
      await enough.promise;
      return unpack(...all);
    };
    const slow = built(place.world.builder, '((from base))');
    await asked.promise;
    await built(place.world.builder, '((from other) (run (shell make)))');
    enough.resolve();
    await slow;
  });
});

describe('work that has a time limit', () => {
  const timed = (timeoutMs?: number) => {
    const [clock, stop] = [virtualClock(), new AbortController()];
    return { clock, stop, limit: { clock, timeoutMs, signal: stop.signal } };
  };
  const untilAborted = (signal: AbortSignal): Promise<Result<string, ReturnType<typeof failed>>> =>
    new Promise((resolve) => signal.addEventListener('abort', () => resolve(err(failed('stopped')))));

  it('comes to what it comes to in time', async () => {
    const { limit } = timed(1000);
    expect(await inTime(limit, async () => ok('done'))).toEqual(ok('done'));
    expect(await inTime(limit, async () => err(failed('broken')))).toEqual(err(failed('broken')));
    await expect(inTime(limit, () => Promise.reject(new Error('a bug')))).rejects.toThrow('a bug');
  });

  it('is late where it fails after its time, or throws why it was stopped', async () => {
    const one = timed(1000);
    const first = inTime(one.limit, untilAborted);
    const second = inTime(one.limit, async (signal) => {
      await untilAborted(signal);
      signal.throwIfAborted();
      return ok('done');
    });
    await one.clock.advance(1000);
    expect([await first, await second]).toEqual(['late', 'late']);
  });

  it('that was done all the same is done, and what is thrown by mistake is thrown on', async () => {
    const { clock, limit } = timed(1000);
    const done = inTime(limit, async (signal) => ok(String(await untilAborted(signal)) !== ''));
    const thrown = inTime(limit, async (signal) => {
      await untilAborted(signal);
      throw new Error('a bug');
    }).catch((error: Error) => error.message);
    await clock.advance(1000);
    expect([await done, await thrown]).toEqual([ok(true), 'a bug']);
  });

  it('is not late where its caller stopped it', async () => {
    const { clock, stop, limit } = timed(1000);
    const stopped = inTime(limit, untilAborted);
    stop.abort(new Error('enough'));
    await clock.advance(2000);
    expect(await stopped).toEqual(err(failed('stopped')));
  });

  it('has all the time there is without a limit', async () => {
    const { clock, stop, limit } = timed();
    const work = inTime(limit, untilAborted);
    await clock.advance(1_000_000);
    stop.abort();
    expect(await work).toEqual(err(failed('stopped')));
  });
});

interface Place extends AsyncDisposable {
  readonly world: World;
  readonly clock: VirtualClock;
  readonly context: string;
  build(text: string): ReturnType<World['builder']['build']>;
  /** Lets the time of every limit go by, once there is one. */
  passTime(): Promise<void>;
}

async function openPlace(options: { readonly concurrency?: number } = {}): Promise<Place> {
  const clock = virtualClock();
  const world = await openWorld({ make: async () => 0 }, { clock, ...options });
  const context = join(world.dir, 'context');
  await mkdir(context);
  const begun = Promise.withResolvers<void>();
  const { setTimer } = clock;
  clock.setTimer = (milliseconds, fire) => {
    if (milliseconds === 2000) begun.resolve();
    return setTimer.call(clock, milliseconds, fire);
  };
  return {
    world,
    clock,
    context,
    build: (text) =>
      world.builder.build(request(text, { context: toHostPath(context), limits: { timeoutMs: 2000 } })),
    passTime: async () => {
      await begun.promise;
      await clock.advance(2000);
    },
    [Symbol.asyncDispose]: () => world[Symbol.asyncDispose](),
  };
}

async function sparse(directory: string, name: string, bytes: number = ENDLESS): Promise<void> {
  await using file = await open(join(directory, name), 'w');
  await file.truncate(bytes);
}

/** Where the files of a saved step are. */
async function placeOf({ store }: World, key: StepKey): Promise<string> {
  const snapshot = expectOk(await store.lookup(key));
  const [volume] = snapshot?.volumes.values() ?? [];
  await using mounted = expectOk(await (volume as NonNullable<typeof volume>).mount());
  return mounted.path;
}
