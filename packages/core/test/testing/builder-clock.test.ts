import { virtualClock } from '@snapstep/core/testing';
import { expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { built, listen, openWorld, request, writes } from '../build/world.ts';

const HOUR = 3600 * 1000;
const ONE = '((from base) (run (shell one)))';
const TWO = '((from base) (run (shell two)))';

describe('a builder with a clock', () => {
  it('prunes by its time what was not used since', async () => {
    await using world = await openClockWorld();
    await built(world.builder, ONE);
    await world.clock.advance(2 * HOUR);
    const two = await built(world.builder, TWO);
    const unusedSince = new Date(world.clock.now() - HOUR);
    const { removed } = expectOk(await world.builder.prune({ unusedSince }));
    expect(removed.length).toBe(1);
    expect(expectOk(await world.builder.list()).map(({ key }) => key)).toContain(two);
  });
  it('tells how long a step took by its time', async () => {
    await using world = await openClockWorld();
    const heard = listen();
    const building = world.builder.build(request('((from base) (run (shell slow)))', heard));
    await world.clock.untilSleep();
    await world.clock.advance(5000);
    await using _result = expectOk(await building);
    expect(heard.events.at(-1)).toMatchObject({ type: 'step-done', milliseconds: 5000 });
    expect(expectOk(await world.builder.list()).at(-1)).toMatchObject({ milliseconds: 5000 });
  });
  it('removes the least recently used first, also after the wall clock was set back (T1)', async () => {
    await using world = await openClockWorld();
    const one = await built(world.builder, ONE);
    world.clock.setTime(new Date('1999-01-01T00:00:00Z'));
    await built(world.builder, TWO);
    world.clock.setTime(new Date('1998-01-01T00:00:00Z'));
    await world.reopen();
    expect(expectOk(await world.builder.prune({ limit: 1 })).removed).toEqual([one]);
  });
  it('does not think a step older that was used again after the wall clock was set back (T1)', async () => {
    await using world = await openClockWorld();
    const one = await built(world.builder, ONE);
    const used = new Date(world.clock.now());
    world.clock.setTime(new Date('1999-01-01T00:00:00Z'));
    await built(world.builder, ONE);
    expect(expectOk(await world.builder.prune({ unusedSince: used })).removed).toEqual([]);
    const found = expectOk(await world.builder.list()).find(({ key }) => key === one);
    expect(found?.usedAt).toEqual(used);
  });
});

async function openClockWorld() {
  const clock = virtualClock();
  const slow = async ({ sleep }: { readonly sleep: (ms: number) => Promise<void> }): Promise<number> => {
    await sleep(5000);
    return 0;
  };
  const world = await openWorld({ one: writes('one'), two: writes('two'), slow }, { clock });
  return Object.assign(world, { clock });
}
