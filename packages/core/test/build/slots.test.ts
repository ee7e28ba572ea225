import { readdir, stat } from 'node:fs/promises';
import { availableParallelism, totalmem } from 'node:os';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { built, gate, openWorld, request } from './world.ts';

const quiet = { write: async () => {} };
const HEALTHY = { 'echo healthy': async () => 0 };

describe('a health check', () => {
  // It was turned off in production, since it took the only place that builds had.
  it('answers while builds take all places (M18)', async () => {
    const busy = gate('');
    await using world = await openWorld({ ...HEALTHY, busy: busy.command }, { concurrency: 1 });
    const running = world.builder.build(request('((from base) (run (shell busy)))'));
    await busy.started;
    expectOk(await world.builder.healthcheck('base'));
    busy.open();
    await expectOk(await running)[Symbol.asyncDispose]();
  });

  // OBuilder deleted the result of its check by its name, which another check shared.
  it('takes nothing away from another one at the same time, and leaves nothing (P20)', async () => {
    await using world = await openWorld(HEALTHY);
    const base = await built(world.builder, '((from base))');
    const checks = await Promise.all([1, 2, 3].map(() => world.builder.healthcheck('base')));
    for (const check of checks) expectOk(check);
    expect(world.sandbox.ran).toHaveLength(3);
    expect(expectOk(await world.store.list())).toEqual([base]);
  });
});

describe('a builder after many builds', () => {
  // https://github.com/ocurrent/obuilder/commit/ab58e15
  it('has no more files open, whether they ended well, failed or were cancelled (T6)', async () => {
    const stop = { now: new AbortController() };
    await using world = await openWorld({
      good: async () => 0,
      bad: async () => 1,
      endless: async ({ request: { signal } }) => {
        stop.now.abort(new Error('enough'));
        return Promise.reject(signal.reason);
      },
    });
    const round = async (number: number): Promise<void> => {
      stop.now = new AbortController();
      const run = (name: string): string => `((from base) (env N ${number}) (run (shell ${name})))`;
      await built(world.builder, run('good'));
      await built(world.builder, run('good'), { onEvent: () => {} });
      expectErr(await world.builder.build(request(run('bad'), { onEvent: () => {} })));
      const { signal } = stop.now;
      expectErr(await world.builder.build(request(run('endless'), { signal, onEvent: () => {} })));
      expectOk(await world.builder.prune({ limit: 1 }));
    };
    await round(0);
    const before = (await readdir('/dev/fd')).length;
    for (let number = 1; number <= 15; number += 1) await round(number);
    expect((await readdir('/dev/fd')).length - before).toBeLessThan(5);
  });
});

describe('a builder that is told how many steps may run at once', () => {
  it.each([1, 2])('runs no more than %i, however many builds there are', async (concurrency) => {
    const names = ['a', 'b', 'c', 'd', 'e'];
    let [now, most] = [0, 0];
    const command = async (): Promise<number> => {
      now += 1;
      most = Math.max(most, now);
      for (let i = 0; i < 20 || most < concurrency; i += 1) await new Promise(setImmediate);
      now -= 1;
      return 0;
    };
    await using world = await openWorld(Object.fromEntries(names.map((name) => [name, command])), {
      concurrency,
    });
    await Promise.all(names.map((name) => built(world.builder, `((from base) (run (shell ${name})))`)));
    expect(most).toBe(concurrency);
  });

  it('counts a base image that is made as a step', async () => {
    const busy = gate('');
    await using world = await openWorld({ busy: busy.command, fill: async () => 0 }, { concurrency: 1 });
    const running = built(world.builder, '((from base) (run (shell busy)))');
    await busy.started;
    const made = world.builder.baseImages?.make({ name: 'mine', command: 'fill', output: quiet });
    for (let i = 0; i < 20; i += 1) await new Promise(setImmediate);
    expect(world.sandbox.ran).toEqual(['busy']);
    busy.open();
    await running;
    expectOk(await (made as NonNullable<typeof made>));
    expect(world.sandbox.ran).toEqual(['busy', 'fill']);
  });

  it('runs no step while a base image is made in its place', async () => {
    const started = Promise.withResolvers<void>();
    const order: string[] = [];
    const script = {
      fill: async () => {
        started.resolve();
        for (let i = 0; i < 500; i += 1) await stat('/');
        order.push('filled');
        return 0;
      },
      a: async () => {
        order.push('a');
        return 0;
      },
    };
    await using world = await openWorld(script, { concurrency: 1 });
    const made = world.builder.baseImages?.make({ name: 'mine', command: 'fill', output: quiet });
    await started.promise;
    await built(world.builder, '((from base) (run (shell a)))');
    expectOk(await (made as NonNullable<typeof made>));
    expect(order).toEqual(['filled', 'a']);
  });
});

describe('a builder that is not told how many steps may run at once', () => {
  // Many processors and little memory: machines died of it.
  it('runs so many as processors and memory are good for, and no more (T8)', async () => {
    const most = Math.min(2 * availableParallelism(), Math.floor(totalmem() / (512 * 1024 * 1024)));
    const names = Array.from({ length: most + 3 }, (_, i) => `c${i}`);
    const all = Promise.withResolvers<void>();
    let [now, seen] = [0, 0];
    const command = async (): Promise<number> => {
      now += 1;
      seen = Math.max(seen, now);
      if (now === most) all.resolve();
      await all.promise;
      now -= 1;
      return 0;
    };
    await using world = await openWorld(Object.fromEntries(names.map((name) => [name, command])), {
      concurrency: 'default',
    });
    await Promise.all(names.map((name) => built(world.builder, `((from base) (run (shell ${name})))`)));
    expect(seen).toBe(most);
  });
});
