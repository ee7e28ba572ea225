import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { StoreKind } from '../damage/answer.ts';
import { type Bench, DISK_OF, openBench } from '../damage/bench.ts';
import { NEEDS } from '../damage/case.ts';
import { Disk } from '../damage/disk.ts';
import type { Job, Told } from './child.ts';

/** All of them, in all states, by `npm run test:answers`. */
const isAll = process.env.SNAPSTEP_ANSWERS === 'all';
const STORES: readonly StoreKind[] = isAll ? ['rsync', 'btrfs', 'overlayfs'] : ['rsync'];
const SHORT: readonly string[] = [
  'closed',
  'aborted',
  'no permission',
  '3 descriptors left',
  'a file for builder/logs',
];
const CHILD = join(import.meta.dirname, 'child.ts');

needs(...NEEDS)('every public call', () => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench();
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it.each(STORES)(
    'answers over %s, whatever state the builder and its disk are in',
    {
      timeout: 1_200_000,
    },
    async (store) => {
      const { answers, states } = await callAll(bench, { store, state: 'well' });
      const refused = answers.filter(
        ({ call, outcome }) => outcome !== 'ok' && !call.includes('stopped soon'),
      );
      expect(refused.map(({ call }) => call)).toEqual(REFUSED);
      let count = answers.length;
      for (const state of states.filter(isWanted)) {
        const told = await callAll(bench, { store, state });
        count += told.answers.length;
        expect.soft(told.traps, state).toEqual([]);
        const bad = told.answers.filter(({ outcome }) => outcome !== 'ok' && outcome !== 'err');
        expect.soft(bad, state).toEqual([]);
      }
      console.log(`${store}: ${count} calls in ${count / answers.length} states, each was answered`);
    },
  );
});

function isWanted(state: string): boolean {
  return isAll ? state !== 'well' : SHORT.includes(state);
}

/** What is refused also where all is well. */
const REFUSED: readonly string[] = [
  'builder: build without its context',
  'builder: build of no spec',
  'builder: build with a listener that throws',
  'builder: plan that is stopped',
  'builder: remove of what is not saved',
  'builder: open of what is not saved',
  'builder: explain of what is not known',
  'builder: open a second builder on the same state',
];

async function callAll(
  bench: Bench,
  { store, state }: { readonly store: StoreKind; readonly state: string },
): Promise<Told> {
  await using disk = await Disk.make({ directory: bench.directory, fileSystem: DISK_OF[store] });
  const scratch = join(await mkdtemp(join(bench.directory, 'scratch-')), 'at');
  const job: Job = { state, scratch, place: bench.place(store, { store: disk.path }) };
  const args = [CHILD, JSON.stringify(job)];
  const { stdout, stderr, exitCode } = await execa(process.execPath, args, {
    reject: false,
    stdin: 'ignore',
  });
  if (exitCode !== 0)
    throw new Error(`${state}: the process ended with ${exitCode}: ${stderr.slice(0, 2000)}`);
  return JSON.parse(stdout) as Told;
}
