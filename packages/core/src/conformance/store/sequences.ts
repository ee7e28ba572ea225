import assert from 'node:assert/strict';
import { keepsEqual, show } from '../promise.ts';
import { storePromises as promises } from './promises.ts';
import type { Scene, StoreTest } from './scene.ts';
import { SequenceModel, type Step } from './sequence-model.ts';

const RUNS = 40;
const STEPS = 200;
/** More than this is not worth the wait: another run of the suite draws other sequences. */
const SECONDS = 20;

/** Random calls in random order, against a model that knows what must come out (P2, P13). */
export function sequenceTests(test: StoreTest): void {
  test('holds what a model of it holds, after any sequence of calls', async (scene) => {
    const fc = await loadFastCheck();
    const choice = fc.nat({ max: 59 });
    const step: import('fast-check').Arbitrary<Step> = fc.record({
      call: fc.constantFrom(...SequenceModel.calls),
      a: choice,
      b: choice,
    });
    // Without a bias to short sequences and small numbers, which would hardly ever get anywhere.
    const sequence = fc.noBias(fc.array(step, { maxLength: scene.scaled(STEPS, 60), size: 'max' }));
    const end = performance.now() + SECONDS * 1000;
    let runs = 0;
    // fast-check's own limit would leave a sequence running beside the tests that follow, and the first one untold.
    const inTime = async (steps: readonly Step[]) => {
      if (runs > 0 && performance.now() > end) return;
      runs += 1;
      await run(scene, steps);
    };
    const checked = await fc.check(fc.asyncProperty(sequence, inTime), {
      numRuns: scene.scaled(RUNS, 3),
      ...(scene.options.seed === undefined ? {} : { seed: scene.options.seed }),
    });
    if (!checked.failed || checked.counterexample === null) return;
    const error = checked.errorInstance;
    const what = error instanceof Error ? error.message : `broken promise: ${promises.sequences}`;
    const calls = checked.counterexample[0].map(({ call, a, b }) => `${call}(${a}, ${b})`).join(' ');
    assert.fail(`${what}\nseen: ${show({ seed: checked.seed, runs, calls })}`);
  });
}

/** Shared by nobody else: what one sequence leaves must not trouble the next. */
async function run(scene: Scene, steps: readonly Step[]): Promise<void> {
  await using fresh = await scene.another();
  const model = new SequenceModel(fresh, (await fresh.mounts()) ?? 0);
  for (const step of steps) {
    await model.run(step);
    await model.checkMounts();
  }
  await model.end();
  keepsEqual(promises.leftNothing, await fresh.leftovers(), []);
}

/** An optional peer dependency, because only those who test a store need it. */
async function loadFastCheck(): Promise<typeof import('fast-check')> {
  try {
    return await import('fast-check');
  } catch (error) {
    throw new Error(
      '`storeSuite` draws its sequences of calls with fast-check: npm install --save-dev fast-check',
      {
        cause: error,
      },
    );
  }
}
