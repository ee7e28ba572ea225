import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/backend/index.ts';
import { type BuildEvent, type Builder, toHostPath } from '../../src/index.ts';
import { built, gate, listen, openWorld, request, writes, writeTree } from './world.ts';

const A = '((from base) (run (shell a)))';

/** Settles when a build has heard that a step was joined. */
function joining(): { readonly onEvent: (event: BuildEvent) => void; readonly joined: Promise<void> } {
  const { promise, resolve } = Promise.withResolvers<void>();
  return {
    joined: promise,
    onEvent: (event) => void (event.type === 'step-started' && event.source === 'joined' && resolve()),
  };
}

describe('builds that share a step', () => {
  it('run it once; both see its log live, and the second is told that it joined', async () => {
    const a = gate('live\n');
    await using world = await openWorld({ a: a.command, b: writes('b'), c: writes('c') });
    const [first, second] = [listen(), listen()];
    const one = world.builder.build(request('((from base) (run (shell a)) (run (shell b)))', first));
    await a.started;
    const live = Promise.withResolvers<void>();
    const two = world.builder.build(
      request('((from base) (run (shell a)) (run (shell c)))', {
        onEvent: (event) => {
          second.onEvent(event);
          if (event.type === 'step-output' && Buffer.from(event.chunk).includes('live')) live.resolve();
        },
      }),
    );
    await live.promise;
    a.open();
    for (const result of [await one, await two]) await expectOk(result)[Symbol.asyncDispose]();
    expect(world.sandbox.ran.filter((name) => name === 'a')).toHaveLength(1);
    expect(first.sources()).toEqual(['ran', 'ran', 'ran']);
    expect(second.sources()).toEqual(['cache', 'joined', 'ran']);
    expect(second.output()).toBe('unpacked base\nlive\nwrote c\n');
  });

  it('get the same error when it fails, and both logs end after its output', async () => {
    const a = gate('before the end\n');
    await using world = await openWorld({ a: a.command });
    const [first, second, join] = [listen(), listen(), joining()];
    const one = world.builder.build(request(A, first));
    await a.started;
    const both = (event: BuildEvent): void => {
      second.onEvent(event);
      join.onEvent(event);
    };
    const two = world.builder.build(request(A, { onEvent: both }));
    await join.joined;
    a.open(9);
    expect(expectErr(await one)).toEqual(expectErr(await two));
    expect(first.output()).toBe('unpacked base\nbefore the end\n');
    expect(second.output()).toBe(first.output());
  });

  it('go on when one of them is cancelled', async () => {
    const a = gate('a\n');
    await using world = await openWorld({ a: a.command });
    const stop = new AbortController();
    const one = world.builder.build(request(A, { signal: stop.signal }));
    await a.started;
    const join = joining();
    const two = world.builder.build(request(A, join));
    await join.joined;
    stop.abort(new Error('one goes'));
    expect(expectErr(await one)).toMatchObject({ type: 'cancelled' });
    a.open();
    await expectOk(await two)[Symbol.asyncDispose]();
    expect(world.sandbox.ran).toEqual(['a']);
  });

  it('stop the step when all of them are cancelled, and leave nothing', async () => {
    const a = gate('partial\n');
    await using world = await openWorld({ a: a.command });
    const stop = new AbortController();
    const one = world.builder.build(request(A, { signal: stop.signal }));
    await a.started;
    const join = joining();
    const two = world.builder.build(request(A, { ...join, signal: stop.signal }));
    await join.joined;
    stop.abort(new Error('all go'));
    expect(expectErr(await one)).toMatchObject({ type: 'cancelled', reason: new Error('all go') });
    expect(expectErr(await two)).toMatchObject({ type: 'cancelled' });
    expect(world.store.mounted).toBe(0);
    expect(expectOk(await world.store.list())).toHaveLength(1);
  });

  it('wait for a run that is still being cancelled, then run afresh [L3]', async () => {
    let runs = 0;
    const first = gate('first\n');
    const quiet = Promise.withResolvers<void>();
    await using world = await openWorld({
      a: async (io) => {
        runs += 1;
        if (runs > 1) return 0;
        return first.command(io).catch(async (reason) => {
          await quiet.promise;
          throw reason;
        });
      },
    });
    const stop = new AbortController();
    const one = world.builder.build(request(A, { signal: stop.signal }));
    await first.started;
    stop.abort(new Error('slowly'));
    const two = world.builder.build(request(A));
    const order: string[] = [];
    const ends = [one.then(() => void order.push('one')), two.then(() => void order.push('two'))];
    quiet.resolve();
    await Promise.all(ends);
    expectErr(await one);
    await expectOk(await two)[Symbol.asyncDispose]();
    expect(runs).toBe(2);
    expect(order).toEqual(['one', 'two']);
  });

  it('a client of a build that has already failed does not touch its replacement [L3]', async () => {
    const gates = [gate('first\n'), gate('second\n')];
    let runs = 0;
    await using world = await openWorld({ a: async (io) => gates[runs++]?.command(io) });
    const stop = new AbortController();
    const one = world.builder.build(request(A, { signal: stop.signal }));
    await gates[0]?.started;
    gates[0]?.open(1);
    expectErr(await one);
    const two = world.builder.build(request(A));
    await gates[1]?.started;
    stop.abort(new Error('too late'));
    const join = joining();
    const three = world.builder.build(request(A, join));
    await join.joined;
    gates[1]?.open();
    for (const result of [await two, await three]) await expectOk(result)[Symbol.asyncDispose]();
  });

  it('100 at once run each shared step once', async () => {
    const commands = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`c${i}`, writes(`c${i}`)]));
    await using world = await openWorld({ a: writes('a'), ...commands });
    const specs = Array.from(
      { length: 100 },
      (_, i) => `((from base) (run (shell a)) (run (shell c${i % 10})))`,
    );
    await Promise.all(specs.map((spec) => built(world.builder, spec)));
    expect(world.sandbox.ran.toSorted()).toEqual(['a', ...Object.keys(commands)].toSorted());
  });
});

/** The volumes of each active snapshot can be reached only when its door, the next in the row, is open. */
function holdAttempts(store: Store, doors: readonly { readonly promise: Promise<void> }[]): void {
  const prepare = store.prepare.bind(store);
  let attempts = 0;
  store.prepare = async (request) => {
    const door = doors[attempts++];
    const active = await prepare(request);
    if (active.isErr()) return active;
    for (const volume of active.value.volumes.values()) {
      const mount = volume.mount.bind(volume);
      volume.mount = async () => {
        await door?.promise;
        return mount();
      };
    }
    return active;
  };
}

describe('a survivor of a shared copy [L2]', () => {
  const FILES = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`f${i}`, `${i}`.repeat(5000)]));
  const spec = '((from base) (copy (src .) (dst /src/)))';

  /** As many builds as contexts, of which all but the last are cancelled, one after the other, and lose their files. */
  async function cascade(builds: number): Promise<void> {
    await using world = await openWorld({});
    await built(world.builder, '((from base))');
    const doors = Array.from({ length: builds }, () => Promise.withResolvers<void>());
    holdAttempts(world.store, doors);
    const runs: { stop: AbortController; context: string; result: ReturnType<Builder['build']> }[] = [];
    for (let i = 0; i < builds; i += 1) {
      const context = toHostPath(join(world.dir, `context-${i}`));
      await writeTree(context, FILES);
      const stop = new AbortController();
      const started = Promise.withResolvers<void>();
      const onEvent = (event: BuildEvent): void => {
        if (event.type === 'step-started' && event.op.op === 'copy') started.resolve();
      };
      const result = world.builder.build(request(spec, { context, signal: stop.signal, onEvent }));
      runs.push({ stop, context, result });
      await started.promise;
    }
    const survivor = runs.pop();
    for (const [at, { stop, context, result }] of runs.entries()) {
      stop.abort(new Error('this one goes'));
      doors[at]?.resolve();
      expect(expectErr(await result)).toMatchObject({ type: 'cancelled' });
      await rm(context, { recursive: true });
    }
    doors.at(-1)?.resolve();
    await using result = expectOk(await (survivor?.result ?? Promise.reject(new Error('no build'))));
    await using root = expectOk(
      await ([...result.snapshot.volumes.values()][0]?.mount() ?? Promise.reject()),
    );
    expect(await readdir(join(root.path, 'src'))).toHaveLength(Object.keys(FILES).length);
  }

  it('builds from its own context when the owner is cancelled', () => cascade(2));
  it('builds from its own context after two owners are cancelled in turn', () => cascade(3));
  it('builds from its own context after a cascade of three', () => cascade(4));
});
