import { availableParallelism, totalmem } from 'node:os';
import { expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { built, gate, openWorld, request } from './world.ts';

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
