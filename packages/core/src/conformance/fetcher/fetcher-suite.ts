import { Choice } from '../choice.ts';
import { group, type TestFunctions } from '../test-functions.ts';
import { askingTests } from './asking.ts';
import { fullDiskTests } from './full-disk.ts';
import { pinTests } from './pins.ts';
import type { FetcherPlace } from './place.ts';
import { FetcherScene, type FetcherTest } from './scene.ts';
import { abortTests, configTests, unpackTests } from './unpacking.ts';

export type FetcherTopic = 'pins' | 'asking' | 'unpacking' | 'configuration' | 'aborts' | 'full disk';

const topics: Readonly<Record<FetcherTopic, (test: FetcherTest) => void>> = {
  pins: pinTests,
  asking: askingTests,
  unpacking: unpackTests,
  configuration: configTests,
  aborts: abortTests,
  'full disk': fullDiskTests,
};

export interface FetcherSuiteOptions {
  /** Opens a fetcher in a place of its own that nothing else has ever used. Called once for each test. */
  readonly open: () => Promise<FetcherPlace>;
  /**
   * Topics, and titles of single tests, that the kind of image cannot have. Say why where you leave one out. What is no
   * topic and no title is an error.
   */
  readonly except?: readonly (FetcherTopic | (string & {}))[];
}

/**
 * Checks what `Fetcher` asks of every backend, with real images and the test functions of any runner. A test that
 * fails says which promise was broken.
 *
 * Run it as root as well: owners are only checked then.
 *
 * @example
 * import { describe, it } from 'node:test';
 * fetcherSuite({ describe, it }, { open: openMyFetcherWithImages });
 * @throws Error if `except` has something that is no topic and no title.
 */
export function fetcherSuite(functions: TestFunctions, options: FetcherSuiteOptions): void {
  const choice = new Choice('fetcherSuite', options.except);
  for (const [topic, register] of Object.entries(topics)) {
    const tests = choice.of<FetcherScene>(topic, register);
    if (tests.length === 0) continue;
    group(functions, `fetcher: ${topic}`, (add) => {
      for (const { title, body } of tests) add(title, () => runTest(body, options));
    });
  }
  choice.expectAllKnown();
}

async function runTest(
  body: (scene: FetcherScene) => Promise<void>,
  options: FetcherSuiteOptions,
): Promise<void> {
  await using scene = new FetcherScene(await options.open());
  await body(scene);
  await scene.expectNothingLeft();
}
