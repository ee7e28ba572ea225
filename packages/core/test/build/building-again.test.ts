import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type BuildEvent, err, ok, type StepKey, type Store } from '../../src/index.ts';
import { built, gate, listen, openWorld, readResult, request, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const AB = '((from base) (run (shell a)) (run (shell b)))';
const AC = '((from base) (run (shell a)) (run (shell c)))';

describe('a build whose saved steps are gone from the store', () => {
  it('begins again three times at the most, and says each time what was gone, and at last too', async () => {
    await using world = await openWorld({ a: writes('a') });
    const key = await built(world.builder, A);
    loseForGood(world, key);
    const heard = listen();
    const error = expectErr(await world.builder.build(request(A, heard)));
    const message = `the snapshot ${key} is gone: the memory store does not have it`;
    expect(error).toEqual({ type: 'store', error: { type: 'not-found', key, message }, message });
    expect(notes(heard)).toEqual(Array(3).fill(`${message}; building it again`));
    expect(heard.events.filter(({ type }) => type === 'stage-started')).toHaveLength(4);
  });

  it('tells its listener one event after the other also where it begins again', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    expectOk(await world.store.remove(await built(world.builder, A)));
    let inHand = 0;
    const most: number[] = [];
    const onEvent = async (): Promise<void> => {
      inHand += 1;
      most.push(inHand);
      for (let i = 0; i < 10; i += 1) await setImmediate();
      inHand -= 1;
    };
    await built(world.builder, AB, { onEvent });
    expect(Math.max(...most)).toBe(1);
    expect(world.sandbox.ran).toEqual(['a', 'a', 'b']);
  });

  it('is cancelled by a listener that throws when it is told so', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    expectOk(await world.store.remove(await built(world.builder, A)));
    const bug = new Error('no notes, please');
    const heard: string[] = [];
    const onEvent = ({ type }: BuildEvent): void => {
      heard.push(type);
      if (type === 'note') throw bug;
    };
    const error = expectErr(await world.builder.build(request(AB, { onEvent })));
    expect(error).toMatchObject({ type: 'cancelled', reason: bug });
    expect(heard.at(-1)).toBe('note');
    expect(world.sandbox.ran).toEqual(['a']);
  });

  it('runs only those again that are gone, and what was built on them', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    expectOk(await world.store.remove(await built(world.builder, AB)));
    await built(world.builder, '((from base) (run (shell a)) (run (shell b)) (run (shell c)))');
    expect(world.sandbox.ran).toEqual(['a', 'b', 'b', 'c']);
  });

  it('runs those again whose record is gone, in place of what is in the store', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    const a = await built(world.builder, A);
    await rm(join(world.stateDir, 'steps', a.slice(0, 2)), { recursive: true });
    const heard = listen();
    await built(world.builder, AB, heard);
    expect(notes(heard)).toEqual([`the snapshot ${a} is gone: its record is gone; building it again`]);
    expect(world.sandbox.ran).toEqual(['a', 'a', 'b']);
    expect(expectOk(await world.store.list())).toHaveLength(3);
  });

  it('has what is left of them removed before it runs them', async () => {
    const order: string[] = [];
    const [a, b] = [writes('a'), writes('b')];
    await using world = await openWorld({
      a: async (io) => {
        order.push('it runs');
        return a(io);
      },
      b,
    });
    loseInPart(world, await built(world.builder, A), () => order.push('it is removed'));
    const onEvent = ({ type }: BuildEvent): void => {
      if (type === 'note') order.push('it is told');
    };
    await built(world.builder, AB, { onEvent });
    expect(order).toEqual(['it runs', 'it is removed', 'it is told', 'it runs']);
  });

  it('leaves alone what is in use, where it is cancelled before it runs that again', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b') });
    await using used = expectOk(await world.builder.build(request(A)));
    await rm(join(world.stateDir, 'steps', used.key.slice(0, 2)), { recursive: true });
    const stop = new AbortController();
    const onEvent = ({ type }: BuildEvent): void => {
      if (type === 'note') stop.abort();
    };
    expectErr(await world.builder.build(request(AB, { onEvent, signal: stop.signal })));
    expect(await readResult(used, 'a')).toBe('a');
  });
});

describe('a step that is gone from the store, and that another build', () => {
  it('is making again already, is left to that build', async () => {
    const again = gate('again\n');
    let runs = 0;
    const a = writes('a');
    await using world = await openWorld({
      a: async (io) => {
        runs += 1;
        if (runs > 1) await again.command(io);
        return a(io);
      },
      b: writes('b'),
      c: writes('c'),
    });
    const key = await built(world.builder, A);
    expectOk(await world.store.remove(key));
    const slow = Promise.withResolvers<void>();
    const failed = Promise.withResolvers<void>();
    const joined = Promise.withResolvers<void>();
    const onEvent = async (event: BuildEvent): Promise<void> => {
      if (event.type === 'step-started' && event.source === 'joined') joined.resolve();
      if (event.type !== 'step-failed') return;
      failed.resolve();
      await slow.promise;
    };
    const second = world.builder.build(request(AC, { onEvent }));
    await failed.promise;
    const first = world.builder.build(request(AB));
    await again.started;
    slow.resolve();
    await joined.promise;
    again.open();
    for (const result of [await first, await second]) await expectOk(result)[Symbol.asyncDispose]();
    expect(world.sandbox.ran.filter((name) => name === 'a')).toHaveLength(2);
    expect(expectOk(await world.builder.list()).map((step) => step.key)).toContain(key);
  });

  it('is looking for, is looked for by that build alone', async () => {
    await using world = await openWorld({ a: writes('a'), b: writes('b'), c: writes('c') });
    const key = await built(world.builder, A);
    expectOk(await world.store.remove(key));
    const look = holdLookup(world, key);
    const first = world.builder.build(request(AB));
    await look.begun;
    const [told, slow] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const onEvent = async ({ type }: BuildEvent): Promise<void> => {
      if (type !== 'note') return;
      told.resolve();
      await slow.promise;
    };
    const second = world.builder.build(request(AC, { onEvent }));
    await told.promise;
    expect(look.calls()).toBe(1);
    look.end();
    await expectOk(await first)[Symbol.asyncDispose]();
    slow.resolve();
    await expectOk(await second)[Symbol.asyncDispose]();
    expect(world.sandbox.ran).toEqual(['a', 'a', 'b', 'c']);
  });
});

describe('a build that has its last step', () => {
  it('succeeds where another one finds meanwhile that a copy before it is gone', async () => {
    const script = Object.fromEntries(['a', 'b', 'c'].map((name) => [name, writes(name)]));
    await using world = await openWorld(script);
    const copying = (command: string): string => `((build s ((from base) (run (shell a)))) (from base)
      (copy (from (build s)) (src a) (dst /a)) (run (shell ${command})))`;
    const key = await built(world.builder, copying('b'));
    const copy = expectOk(await world.builder.list()).find(({ title }) => title.startsWith('(copy'));
    expectOk(await world.store.remove(copy?.key as StepKey));
    let others = 0;
    const onEvent = async ({ type }: BuildEvent): Promise<void> => {
      if (type !== 'step-done' || others > 0) return;
      others += 1;
      const stop = new AbortController();
      const stopAtNote = (event: BuildEvent): void => void (event.type === 'note' && stop.abort());
      const other = request(copying('c'), { onEvent: stopAtNote, signal: stop.signal });
      expect(expectErr(await world.builder.build(other)).type).toBe('cancelled');
    };
    expect(await built(world.builder, copying('b'), { onEvent })).toBe(key);
    expect(others).toBe(1);
  });
});

/** From now on the store loses this snapshot as soon as somebody asks for it. */
function loseForGood({ store }: World, lost: StepKey): void {
  const lookup = store.lookup.bind(store);
  store.lookup = async (key) => {
    if (key === lost) expectOk(await store.remove(key));
    return lookup(key);
  };
}

/** The store finds a snapshot no more, and has files of it all the same until it is removed. */
function loseInPart({ store }: World, lost: StepKey, onRemoved: () => void): void {
  const [lookup, prepare, remove] = [store.lookup, store.prepare, store.remove].map((one) =>
    one.bind(store),
  ) as [Store['lookup'], Store['prepare'], Store['remove']];
  let isLost = true;
  store.lookup = async (key) => (isLost && key === lost ? ok(undefined) : lookup(key));
  store.prepare = async (asked) => {
    const { from } = asked;
    if (!isLost || !('snapshot' in from) || from.snapshot !== lost) return prepare(asked);
    return err({ type: 'not-found', key: lost, message: 'only a part of it is there' });
  };
  store.remove = async (key, signal) => {
    if (key !== lost) return remove(key, signal);
    if (signal?.aborted !== false) throw new Error('it was aborted already, or cannot be');
    await setImmediate();
    const removed = await remove(key, signal);
    isLost = false;
    onRemoved();
    return removed;
  };
}

/** Holds the first time that the store is asked for a snapshot. */
function holdLookup({ store }: World, wanted: StepKey) {
  const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const lookup = store.lookup.bind(store);
  let calls = 0;
  store.lookup = async (key) => {
    if (key !== wanted) return lookup(key);
    calls += 1;
    const found = await lookup(key);
    begun.resolve();
    if (calls === 1) await ended.promise;
    return found;
  };
  return { begun: begun.promise, end: ended.resolve, calls: () => calls };
}

function notes({ events }: { readonly events: readonly BuildEvent[] }): readonly string[] {
  return events.flatMap((event) => (event.type === 'note' ? event.text : []));
}
