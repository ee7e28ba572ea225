import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import type { ActiveSnapshot } from '../../src/backend/index.ts';
import type { BuildEvent } from '../../src/index.ts';
import { gate, type Heard, listen, openWorld, request, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';
const BASE = 'unpacked base\n';

/** OBuilder's log was in the wrong place for a moment: https://github.com/ocurrent/obuilder/pull/208 */
describe('a build that joins a step whose command has ended', () => {
  it('has its whole log and its result while the store is still saving it [L1]', async () => {
    await using world = await openWorld({ a: writes('a') });
    const saving = hold(world, (active, wait) => {
      const commit = active.commit.bind(active);
      active.commit = async () => {
        await wait();
        return commit();
      };
    });
    const [first, second] = [listen(), joiner()];
    const one = world.builder.build(request(A, first));
    await saving.begun;
    const two = world.builder.build(request(A, second));
    await second.joined;
    saving.end();
    const results = [expectOk(await one), expectOk(await two)];
    for (const result of results) await result[Symbol.asyncDispose]();
    expect(results[0]?.key).toBe(results[1]?.key);
    for (const { output } of [first, second]) expect(output()).toBe(`${BASE}wrote a\n`);
    expect(world.sandbox.ran).toEqual(['a']);
  });

  it('has the same error and the whole log while the store still throws it away [L1]', async () => {
    await using world = await openWorld({
      a: async ({ request: { output } }) => {
        await output.write('why\n');
        return 7;
      },
    });
    const dropping = hold(world, (active, wait) => {
      const drop = active[Symbol.asyncDispose].bind(active);
      active[Symbol.asyncDispose] = async () => {
        await wait();
        return drop();
      };
    });
    const [first, second] = [listen(), joiner()];
    const one = world.builder.build(request(A, first));
    await dropping.begun;
    const two = world.builder.build(request(A, second));
    await second.joined;
    dropping.end();
    const errors = [expectErr(await one), expectErr(await two)];
    expect(errors[0]).toMatchObject({ type: 'step-failed', exit: { type: 'exited', code: 7 } });
    expect(errors[1]).toEqual(errors[0]);
    for (const { output } of [first, second]) expect(output()).toBe(`${BASE}why\n`);
    expect(world.sandbox.ran).toEqual(['a']);
  });
});

describe('a build that is cancelled', () => {
  it('has told what its step had printed so far, and leaves that in no log [L14]', async () => {
    const a = gate('so far\n');
    await using world = await openWorld({ a: a.command });
    const [stop, heard] = [new AbortController(), listen()];
    const told = Promise.withResolvers<void>();
    const onEvent = (event: BuildEvent): void => {
      heard.onEvent(event);
      if (heard.output().endsWith('so far\n')) told.resolve();
    };
    const running = world.builder.build(request(A, { onEvent, signal: stop.signal }));
    await told.promise;
    stop.abort(new Error('enough'));
    expect(expectErr(await running)).toMatchObject({ type: 'cancelled', reason: new Error('enough') });
    expect(heard.output()).toBe(`${BASE}so far\n`);
    const saved = expectOk(await world.builder.list()).map(({ title }) => title);
    expect(saved).toEqual([expect.stringContaining('from')]);
    a.open();
    const again = listen();
    await expectOk(await world.builder.build(request(A, again)))[Symbol.asyncDispose]();
    expect(again.sources()).toEqual(['cache', 'ran']);
    expect(again.output()).toBe(`${BASE}so far\n`);
  });
});

/** Holds one moment in the life of the active snapshot of a `run`. */
function hold(
  { store }: World,
  change: (active: ActiveSnapshot, wait: () => Promise<void>) => void,
): { readonly begun: Promise<void>; readonly end: () => void } {
  const [begun, ended] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const wait = (): Promise<void> => {
    begun.resolve();
    return ended.promise;
  };
  const prepare = store.prepare.bind(store);
  store.prepare = async (asked) => {
    const prepared = await prepare(asked);
    if (prepared.isOk() && 'snapshot' in asked.from) change(prepared.value, wait);
    return prepared;
  };
  return { begun: begun.promise, end: ended.resolve };
}

/** A listener that knows when its build has joined a step. */
function joiner(): Heard & {
  readonly onEvent: (event: BuildEvent) => void;
  readonly joined: Promise<void>;
} {
  const heard = listen();
  const joined = Promise.withResolvers<void>();
  return {
    ...heard,
    joined: joined.promise,
    onEvent: (event) => {
      heard.onEvent(event);
      if (event.type === 'step-started' && event.source === 'joined') joined.resolve();
    },
  };
}
