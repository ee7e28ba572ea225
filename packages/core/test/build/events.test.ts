import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import type { BuildEvent, StepKey } from '../../src/index.ts';
import { virtualClock } from '../../src/testing/index.ts';
import { built, gate, type Heard, listen, openWorld, request, type World, writes } from './world.ts';

const BASE = '((from base))';
const A = '((from base) (run (shell a)))';
const BASE_OP = { op: 'base', image: 'base' };

describe('the events of a build', () => {
  it('are, of a stage that runs, its beginning, and of each step its beginning, its output and its end', async () => {
    const clock = virtualClock();
    await using world = await openWorld(
      {
        a: async (io) => {
          await writes('a')(io);
          await clock.advance(1500);
          return 0;
        },
      },
      { clock },
    );
    const heard = listen();
    const [base, a] = await keysOf(world, A, heard);
    const op = { op: 'run', command: 'a', network: [], caches: [], secrets: [] };
    expect(shown(heard)).toEqual([
      { type: 'stage-started', stage: 'main', steps: 2 },
      { type: 'step-queued', stage: 'main', key: base, op: BASE_OP, number: 1, source: 'ran' },
      { type: 'step-started', stage: 'main', key: base, op: BASE_OP, number: 1, source: 'ran' },
      { type: 'step-output', stage: 'main', key: base, text: 'unpacked base\n' },
      { type: 'step-done', stage: 'main', key: base, source: 'ran', ...times(0) },
      { type: 'step-queued', stage: 'main', key: a, op, number: 2, source: 'ran' },
      { type: 'step-started', stage: 'main', key: a, op, number: 2, source: 'ran' },
      { type: 'step-output', stage: 'main', key: a, text: 'wrote a\n' },
      { type: 'step-done', stage: 'main', key: a, source: 'ran', ...times(1500) },
    ]);
  });

  it('are, of steps that are saved, the same with their logs, and no time', async () => {
    await using world = await openWorld({ a: writes('a') }, { clock: virtualClock() });
    const [first, second] = [listen(), listen()];
    await built(world.builder, A, first);
    await built(world.builder, A, second);
    expect(shown(second)).toEqual(
      shown(first)
        .filter((event) => !('type' in event && event.type === 'step-queued'))
        .map((event) => ('source' in event ? { ...event, source: 'cache' } : event)),
    );
  });

  it('leave out the logs of saved steps where they are not wanted, and those alone', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, BASE);
    const heard = listen();
    await built(world.builder, A, { ...heard, replayLogs: false });
    expect(heard.output()).toBe('wrote a\n');
    expect(heard.events.map(({ type }) => type)).toEqual([
      ...['stage-started', 'step-started', 'step-done'],
      ...['step-queued', 'step-started', 'step-output', 'step-done'],
    ]);
  });

  it.each([
    ['a slot of the builder', { concurrency: 1 }],
    ['a place in the sandbox', { commandsAtOnce: 1 }],
  ])('tell a step that waits for %s from one that runs, as the list of steps does', async (_, limit) => {
    const clock = virtualClock();
    const a = gate('a');
    const script = { a: a.command, b: () => clock.advance(200).then(() => 0) };
    await using world = await openWorld(script, { clock, ...limit });
    await built(world.builder, BASE);
    const heard = listen();
    const queued = Promise.withResolvers<void>();
    const onEvent = (event: BuildEvent): void => {
      heard.onEvent(event);
      if (event.type === 'step-queued') queued.resolve();
    };
    const first = built(world.builder, A);
    await a.started;
    const second = built(world.builder, '((from base) (run (shell b)))', { onEvent });
    await queued.promise;
    await clock.advance(1000);
    expect(heard.events.at(-1)?.type).toBe('step-queued');
    a.open();
    await first;
    const key = await second;
    const done = heard.events.at(-1);
    expect(done).toMatchObject({ milliseconds: 200, waitedMilliseconds: 1000 });
    const saved = expectOk(await world.builder.list()).find((step) => step.key === key);
    expect(saved?.milliseconds).toBe(200);
  });

  it('say of a step that fails what it failed with, after its output', async () => {
    await using world = await openWorld({
      a: async (io) => {
        await io.request.output.write('why\n');
        return 3;
      },
    });
    const heard = listen();
    const error = expectErr(await world.builder.build(request(A, heard)));
    if (error.type !== 'step-failed') throw new Error(`it failed with ${error.type}`);
    const { key } = error;
    expect(shown(heard).slice(-2)).toEqual([
      { type: 'step-output', stage: 'main', key, text: 'why\n' },
      { type: 'step-failed', stage: 'main', key, error },
    ]);
    expect(error).toEqual({
      ...{ type: 'step-failed', key, stage: 'main', exit: { type: 'exited', code: 3 } },
      op: { op: 'run', command: 'a', network: [], caches: [], secrets: [] },
      message: 'the command exited with 3',
    });
  });

  it('begin with the first bytes of a step, while it runs', async () => {
    const a = gate('early');
    await using world = await openWorld({ a: a.command });
    const early = Promise.withResolvers<void>();
    const onEvent = (event: BuildEvent): void => {
      if (event.type === 'step-output' && Buffer.from(event.chunk).toString() === 'early') early.resolve();
    };
    const running = world.builder.build(request(A, { onEvent }));
    await early.promise;
    a.open();
    await expectOk(await running)[Symbol.asyncDispose]();
  });

  it('count the steps of each stage by itself', async () => {
    await using world = await openWorld({ a: writes('a') });
    const heard = listen();
    const spec = `((build s ((from base) (run (shell a)))) (from other)
      (copy (from (build s)) (src a) (dst /a)) (run (shell a)))`;
    await built(world.builder, spec, heard);
    expect(numbers(heard)).toEqual(['main 1', 'main 2', 'main 3', 's 1', 's 2']);
    const again = listen();
    await built(world.builder, spec, again);
    expect(numbers(again)).toEqual(['main 1', 'main 2', 'main 3']);
    expect(shown(again)[0]).toEqual({ type: 'stage-started', stage: 'main', steps: 3 });
  });

  it('say so, in a note, where the log of a saved step cannot be read, and go on', async () => {
    await using world = await openWorld({ a: writes('a') });
    const key = await built(world.builder, A);
    await breakLog(world, key);
    const heard = listen();
    await built(world.builder, A, heard);
    const notes = heard.events.flatMap((event) => (event.type === 'note' ? event.text : []));
    expect(notes).toEqual([
      expect.stringMatching(`^the log of ${key} cannot be read: the log .* is not a file`),
    ]);
    expect(heard.sources()).toEqual(['cache', 'cache']);
  });

  it('go without the log of a saved step that has none any more', async () => {
    await using world = await openWorld({ a: writes('a') });
    const key = await built(world.builder, A);
    await rm(join(world.stateDir, 'logs', key.slice(0, 2), `${key}.log`));
    const heard = listen();
    await built(world.builder, A, heard);
    expect(heard.output()).toBe('unpacked base\n');
    expect(heard.events.filter(({ type }) => type === 'note')).toEqual([]);
  });
});

describe('a build that nobody listens to', () => {
  it('reads no logs', async () => {
    await using world = await openWorld({ a: writes('a') });
    const key = await built(world.builder, A);
    await breakLog(world, key);
    expect(await built(world.builder, A)).toBe(key);
  });
});

describe('a listener that is slow', () => {
  it('is waited for at the end of each step, so that the build does not end before its events', async () => {
    await using world = await openWorld({ a: writes('a') });
    const heard = listen();
    const later: (() => void)[] = [];
    const slow = async (event: BuildEvent): Promise<void> => {
      await new Promise<void>((resolve) => void later.push(resolve));
      heard.onEvent(event);
    };
    let hasEnded = false;
    const running = built(world.builder, A, { onEvent: slow }).then(() => {
      hasEnded = true;
    });
    while (!hasEnded) {
      later.shift()?.();
      await readdir(world.dir);
    }
    await running;
    expect(heard.events.at(-1)).toMatchObject({ type: 'step-done' });
    expect(heard.output()).toBe('unpacked base\nwrote a\n');
  });
});

/** Of a step that did not wait. */
function times(milliseconds: number) {
  return { milliseconds, waitedMilliseconds: 0 };
}

/** Events without their times, and with their output as text. */
function shown({ events }: Heard): readonly object[] {
  return events.map((event) => {
    const { at: _, ...news } = event;
    if (news.type !== 'step-output') return news;
    const { chunk, ...rest } = news;
    return { ...rest, text: Buffer.from(chunk).toString() };
  });
}

async function keysOf(
  world: World,
  spec: string,
  heard: ReturnType<typeof listen>,
): Promise<readonly StepKey[]> {
  await built(world.builder, spec, heard);
  return heard.events.flatMap((event) => (event.type === 'step-done' ? event.key : []));
}

function numbers({ events }: Heard): readonly string[] {
  return events
    .flatMap((event) => (event.type === 'step-started' ? `${event.stage} ${event.number}` : []))
    .toSorted();
}

async function breakLog(world: World, key: StepKey): Promise<void> {
  const path = join(world.stateDir, 'logs', key.slice(0, 2), `${key}.log`);
  await rm(path);

  await mkdir(path);
}
