import { group, type TestFunctions } from '../test-functions.ts';
import { cacheIsolationTests } from './cache-isolation.ts';
import { cacheTests } from './caches.ts';
import { contentTests } from './content.ts';
import { isolationTests } from './isolation.ts';
import { lifecycleTests } from './lifecycle.ts';
import { loadTests } from './load.ts';
import { nameTests } from './names.ts';
import { Scene, type StorePlace, type StoreTest } from './scene.ts';
import { specialFileTests } from './special-files.ts';
import { usageTests } from './usage.ts';

export type StoreTopic =
  | 'lifecycle'
  | 'isolation'
  | 'content'
  | 'names'
  | 'special files'
  | 'caches'
  | 'cache isolation'
  | 'load'
  | 'usage';

const topics: Readonly<Record<StoreTopic, (test: StoreTest) => void>> = {
  lifecycle: lifecycleTests,
  isolation: isolationTests,
  content: contentTests,
  names: nameTests,
  'special files': specialFileTests,
  caches: cacheTests,
  'cache isolation': cacheIsolationTests,
  load: loadTests,
  usage: usageTests,
};

export interface StoreSuiteOptions {
  /** Opens a store in a place of its own that nothing else has ever used. Called once for each test. */
  readonly open: () => Promise<StorePlace>;
  /** Topics that the disk below, not the store, cannot do. Say why where you leave one out. */
  readonly except?: readonly StoreTopic[];
}

/**
 * Checks what `Store` asks of every backend, on real files, with the test functions of any runner.
 *
 * Run it as root as well: owners, device nodes and file capabilities are only checked then.
 *
 * @example
 * import { describe, it } from 'node:test';
 * storeSuite({ describe, it }, { open: openMyStoreInAFreshPlace });
 */
export function storeSuite(functions: TestFunctions, options: StoreSuiteOptions): void {
  for (const [topic, register] of Object.entries(topics)) {
    if (options.except?.includes(topic as StoreTopic)) continue;
    group(functions, `store: ${topic}`, (add) => register(storeTest(add, options)));
  }
}

function storeTest(
  add: (title: string, body: () => Promise<void>) => void,
  options: StoreSuiteOptions,
): StoreTest {
  return (title, body) =>
    add(title, async () => {
      await using scene = new Scene(await options.open());
      await body(scene);
    });
}
