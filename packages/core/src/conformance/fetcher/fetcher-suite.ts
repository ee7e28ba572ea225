import { group, type Register, type TestFunctions } from '../test-functions.ts';
import { pinTests } from './pins.ts';
import type { FetcherPlace } from './place.ts';
import { FetcherScene, type FetcherTest } from './scene.ts';
import { abortTests, configTests, unpackTests } from './unpacking.ts';

export type FetcherTopic = 'pins' | 'unpacking' | 'configuration' | 'aborts';

const topics: Readonly<Record<FetcherTopic, (test: FetcherTest) => void>> = {
  pins: pinTests,
  unpacking: unpackTests,
  configuration: configTests,
  aborts: abortTests,
};

export interface FetcherSuiteOptions {
  /** Opens a fetcher in a place of its own that nothing else has ever used. Called once for each test. */
  readonly open: () => Promise<FetcherPlace>;
  /** Topics that the kind of image cannot have. Say why where you leave one out. */
  readonly except?: readonly FetcherTopic[];
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
 */
export function fetcherSuite(functions: TestFunctions, options: FetcherSuiteOptions): void {
  for (const [topic, register] of Object.entries(topics)) {
    if (options.except?.includes(topic as FetcherTopic)) continue;
    group(functions, `fetcher: ${topic}`, (add) => register(fetcherTest(add, options)));
  }
}

function fetcherTest(add: Register, options: FetcherSuiteOptions): FetcherTest {
  return (title, body) =>
    add(title, async () => {
      await using scene = new FetcherScene(await options.open());
      await body(scene);
      await scene.expectNothingLeft();
    });
}
