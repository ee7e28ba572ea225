import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { datasetsIn } from '../support/leftovers.ts';
import { home, key, lookup, openWorld, prepare, save, volumeOf, type World } from './support/world.ts';

/** Such as `SNAPSTEP_SCALE=1000 npm run test:openzfs -- packages/store-zfs/test/openzfs/scale.test.ts`, at least 20. */
const RESULTS = Number(process.env.SNAPSTEP_SCALE ?? 20);
/** So many steps has each build. */
const STEPS = 10;
/** So many are compared at the beginning and at the end. */
const SAMPLE = Math.min(20, RESULTS / 2);

needs('root', 'openzfs')(`${RESULTS} results on OpenZFS`, () => {
  it('mount what is leased and no more, and take no longer than the first ones (Z8) (Z9)', async () => {
    await using world = await openWorld();
    await save(world.store, 0, { from: { empty: [home] } });
    const milliseconds: number[] = [];
    for (let number = 1; number <= RESULTS; number += 1) {
      const start = performance.now();
      await step(world, number);
      milliseconds.push(performance.now() - start);
      if (number % (RESULTS / 4) === 0) {
        console.log(`${number} results: ${median(milliseconds.slice(-SAMPLE)).toFixed(0)} ms for a step`);
        await look(world, number);
      }
    }
    const [first, last] = [milliseconds.slice(0, SAMPLE), milliseconds.slice(-SAMPLE)].map(median);
    console.log(`a step: ${first?.toFixed(0)} ms among the first, ${last?.toFixed(0)} ms among the last`);
    // What grows with the number of results would be ten times as long.
    expect(last).toBeLessThan(3 * (first ?? 0));
    await reopenAndRemove(world);
  }, 4_800_000);
});

/** Each build starts from the base; within a build each step from the one before. */
async function step({ store, ...world }: World, number: number): Promise<void> {
  const from = (number - 1) % STEPS === 0 ? 0 : number - 1;
  await using active = await prepare(store, number, { snapshot: key(from) });
  {
    await using mounted = expectOk(await volumeOf(active, home).mount());
    await writeFile(join(mounted.path, 'step'), `${number}`);
    expect(await world.mounts()).toEqual([mounted.path]);
  }
  expectOk(await active.commit());
  expect(await world.mounts()).toEqual([]);
}

/** Leases some of what is saved, spread over all, and looks every one of them up. */
async function look(world: World, saved: number): Promise<void> {
  await using leases = new AsyncDisposableStack();
  for (let taken = 1; taken <= 5; taken += 1) {
    const snapshot = await lookup(world.store, Math.ceil((taken * saved) / 5));
    leases.use(expectOk(await volumeOf(snapshot, home).mount()));
    expect(await world.mounts()).toHaveLength(taken);
  }
  const start = performance.now();
  for (let number = 1; number <= saved; number += 1) await lookup(world.store, number);
  const each = (performance.now() - start) / saved;
  // Without a process: the answer is known, however many there are.
  expect(each).toBeLessThan(5);
  await leases.disposeAsync();
  expect(await world.mounts()).toEqual([]);
}

/** What was found at opening is what was saved; without the newest build there are fewer datasets. */
async function reopenAndRemove(world: World): Promise<void> {
  const store = await world.reopen();
  expect(expectOk(await store.list())).toHaveLength(RESULTS + 1);
  expect(await world.mounts()).toEqual([]);
  const before = (await datasetsIn(world.dataset)).length;
  for (let number = RESULTS; number > RESULTS - STEPS; number -= 1) expectOk(await store.remove(key(number)));
  expectOk(await store.reclaimed());
  // Of a result with one volume: two datasets, each with a snapshot.
  expect((await datasetsIn(world.dataset)).length).toBe(before - 4 * STEPS);
}

function median(numbers: readonly number[]): number {
  return [...numbers].sort((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? Number.NaN;
}
