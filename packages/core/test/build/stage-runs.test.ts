import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { err, failed, toHostPath } from '../../src/index.ts';
import { built, gate, listen, openWorld, request, writes, writeTree } from './world.ts';

const TWO = `((build one ((from base) (run (shell a)))) (build two ((from base) (run (shell b)))) (from base)
  (copy (from (build two)) (src b) (dst /b)) (copy (from (build one)) (src a) (dst /a)))`;

const FROM = (stage: string, more = ''): string =>
  `((build one ((from base) (run (shell ${stage})))) (from base) (copy (from (build one)) (src out) (dst /out)) ${more})`;

describe('a build of several stages', () => {
  it('is over when a stage has failed and the others are quiet, not before', async () => {
    const a = gate('');
    const [aborted, quiet] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    await using world = await openWorld({
      a: (io) =>
        a.command(io).catch(async (reason) => {
          aborted.resolve();
          await quiet.promise;
          throw reason;
        }),
      b: async () => {
        await a.started;
        return 3;
      },
    });
    let isOver = false;
    const building = world.builder.build(request(TWO));
    building.then(() => {
      isOver = true;
    });
    await aborted.promise;
    await ticks();
    expect(isOver).toBe(false);
    quiet.resolve();
    expect(expectErr(await building)).toMatchObject({ type: 'step-failed', stage: 'two' });
  });

  it('asks for nothing that a stage which failed was to make', async () => {
    await using world = await openWorld({ out: async () => 3 });
    const asked: unknown[] = [];
    const lookup = world.store.lookup.bind(world.store);
    world.store.lookup = async (key) => {
      asked.push(key);
      return lookup(key);
    };
    expect(expectErr(await world.builder.build(request(FROM('out'))))).toMatchObject({ type: 'step-failed' });
    expect(asked).toEqual(asked.map(() => expect.stringMatching(/^[0-9a-f]{64}$/)));
  });

  it('does not look at a stage whose files are in a saved step, when a step more is to run', async () => {
    await using world = await openWorld({ out: writes('out'), c: writes('c') });
    await built(world.builder, FROM('out'));
    const heard = listen();
    await built(world.builder, FROM('out', '(run (shell c))'), heard);
    expect(heard.events.filter(({ type }) => type === 'stage-started')).toMatchObject([
      { stage: 'main', steps: 3 },
    ]);
    expect(heard.sources()).toEqual(['cache', 'cache', 'ran']);
  });

  it('fails where a stage lacks what is copied from it', async () => {
    await using world = await openWorld({ other: writes('other') });
    const error = expectErr(await world.builder.build(request(FROM('other'))));
    expect(error).toMatchObject({ type: 'invalid-context', path: 'out' });
  });

  it('stops the other stages where one lacks what is copied from it', async () => {
    const endless = gate('');
    await using world = await openWorld({
      one: async () => {
        await endless.started;
        return 0;
      },
      two: endless.command,
    });
    const spec = `((build one ((from base) (run (shell one)))) (build two ((from base) (run (shell two))))
      (from base) (copy (from (build one)) (src out) (dst /out)) (copy (from (build two)) (src out) (dst /out)))`;
    expect(expectErr(await world.builder.build(request(spec)))).toMatchObject({
      ...{ type: 'invalid-context', path: 'out' },
    });
  });

  it('is cancelled where a stage fails only after the build was stopped', async () => {
    await using world = await openWorld({ out: writes('out') });
    await built(world.builder, '((from base) (run (shell out)))');
    const stop = new AbortController();
    world.store.lookup = async () => {
      stop.abort(new Error('enough'));
      return err(failed('it is broken'));
    };
    const error = expectErr(await world.builder.build(request(FROM('out'), { signal: stop.signal })));
    expect(error).toMatchObject({ type: 'cancelled', reason: new Error('enough') });
  });

  it('copies from a stage also what takes long to look at', async () => {
    await using world = await openWorld({
      out: async ({ root }) => {
        await writeFile(join(root, 'out'), '');
        await truncate(join(root, 'out'), 32 * 1024 * 1024);
        return 0;
      },
    });
    expect(await built(world.builder, FROM('out'))).toMatch(/^[0-9a-f]{64}$/);
  });

  it('fails with what is wrong with the context also where that is found after a stage was built', async () => {
    await using world = await openWorld({ out: writes('out') });
    const context = toHostPath(join(world.dir, 'context'));
    await writeTree(context, { there: '' });
    const spec = FROM('out', '(copy (src missing) (dst /missing))');
    expect(expectErr(await world.builder.build(request(spec, { context })))).toMatchObject({
      type: 'invalid-context',
      message: `"missing" of "missing" was not found (copying from the context ${context})`,
    });
    expect(world.sandbox.ran).toEqual(['out']);
  });

  it('takes for used, and tells in their places, steps that it knew only after a stage was built', async () => {
    const out = writes('out', 'same');
    await using world = await openWorld({ out, again: out, c: writes('c'), d: writes('d') });
    const key = await built(world.builder, FROM('out', '(run (shell c))'));
    const unused = await built(world.builder, '((from base) (run (shell d)))');
    const heard = listen();
    expect(await built(world.builder, FROM('again', '(run (shell c))'), heard)).toBe(key);
    const steps = heard.events.flatMap((event) => (event.type === 'step-started' ? [event] : []));
    expect(steps.map(({ stage, number, source }) => `${stage} ${number} ${source}`)).toEqual([
      ...['main 1 cache', 'one 1 cache', 'one 2 ran'],
      ...['main 2 cache', 'main 3 cache'],
    ]);
    const { removed } = expectOk(await world.builder.prune({ limit: 2 }));
    expect(removed).toContain(unused);
    expect(removed).not.toContain(key);
  });
});

describe('a build', () => {
  it('begins nothing before its listener is done with the beginning of a stage', async () => {
    await using world = await openWorld({ a: writes('a') });
    const order: string[] = [];
    const lookup = world.store.lookup.bind(world.store);
    world.store.lookup = async (key) => {
      order.push('the store is asked');
      return lookup(key);
    };
    await built(world.builder, '((from base) (run (shell a)))', {
      onEvent: async ({ type }) => {
        if (type !== 'stage-started') return;
        await ticks();
        order.push('the listener is done');
      },
    });
    expect(order[0]).toBe('the listener is done');
  });

  it('keeps all that it has, whatever is pruned while it runs', async () => {
    const script = Object.fromEntries(['out', 'a', 'b', 'c'].map((name) => [name, writes(name)]));
    await using world = await openWorld(script);
    await built(world.builder, FROM('out', '(run (shell a)) (run (shell b))'));
    const heard = listen();
    await built(world.builder, FROM('out', '(run (shell a)) (run (shell c)) (run (shell b))'), {
      onEvent: async (event) => {
        heard.onEvent(event);
        // At the beginning of a stage the build has nothing yet.
        if (event.type !== 'stage-started') expectOk(await world.builder.prune({}));
      },
    });
    expect(heard.sources()).toEqual(['cache', 'cache', 'cache', 'ran', 'ran']);
    expect(heard.events.filter(({ type }) => type === 'note')).toEqual([]);
    expect(world.sandbox.ran).toEqual(['out', 'a', 'b', 'c', 'b']);
    expectOk(await world.builder.prune({}));
    expect(expectOk(await world.store.list())).toEqual([]);
  });

  it('takes a step from the cache that another build has saved since it looked', async () => {
    await using world = await openWorld({ a: writes('a') });
    await built(world.builder, '((from base))');
    const [looked, slow] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const heard = listen();
    const building = world.builder.build(
      request('((from base) (run (shell a)))', {
        onEvent: async (event) => {
          heard.onEvent(event);
          if (event.type !== 'step-done' || event.source !== 'cache') return;
          looked.resolve();
          await slow.promise;
        },
      }),
    );
    await looked.promise;
    await built(world.builder, '((from base) (run (shell a)))');
    slow.resolve();
    await expectOk(await building)[Symbol.asyncDispose]();
    expect(heard.sources()).toEqual(['cache', 'cache']);
    expect(heard.output()).toBe('unpacked base\nwrote a\n');
    expect(world.sandbox.ran).toEqual(['a']);
  });

  it('tells the fetcher what it may ask the network, and "auto" where the request does not say', async () => {
    await using world = await openWorld({});
    const told: unknown[] = [];
    const pin = world.fetcher.pin.bind(world.fetcher);
    world.fetcher.pin = async (image, signal, options) => {
      told.push(options?.pull);
      return pin(image, signal, options);
    };
    await built(world.builder, '((from base))');
    for (const pull of ['auto', 'always', 'never'] as const)
      await built(world.builder, '((from base))', { pull });
    expect(told).toEqual(['auto', 'auto', 'always', 'never']);
  });
});

/** Time for what waits for no disk. */
async function ticks(): Promise<void> {
  for (let i = 0; i < 20; i += 1) await setImmediate();
}
