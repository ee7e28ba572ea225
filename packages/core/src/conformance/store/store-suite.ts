import type { StoreFeature } from '../../backend/store.ts';
import { Choice } from '../choice.ts';
import { group, type TestFunctions } from '../test-functions.ts';
import { abortTests } from './aborts.ts';
import { cacheIsolationTests } from './cache-isolation.ts';
import { cacheTests } from './caches.ts';
import { contentTests } from './content.ts';
import { endingTests } from './endings.ts';
import { withDump } from './failed-scene.ts';
import { featureTests } from './features/features.ts';
import { fullDiskTests } from './full-disk.ts';
import { isolationTests } from './isolation.ts';
import { lifecycleTests } from './lifecycle.ts';
import { loadTests } from './load.ts';
import { mountTests } from './mounts.ts';
import { nameTests } from './names.ts';
import { pastBugTests } from './past-bugs.ts';
import { isRoot, Scene, type StorePlace, type StoreTest } from './scene.ts';
import { sequenceTests } from './sequences.ts';
import { specialFileTests } from './special-files.ts';
import { usageTests } from './usage.ts';

export type StoreTopic =
  | 'lifecycle'
  | 'endings'
  | 'aborts'
  | 'isolation'
  | 'mounts'
  | 'content'
  | 'names'
  | 'special files'
  | 'caches'
  | 'cache isolation'
  | 'load'
  | 'sequences'
  | 'usage'
  | 'full disk'
  | 'features'
  | 'past bugs';

const topics: Readonly<Record<StoreTopic, (test: StoreTest, options: StoreSuiteOptions) => void>> = {
  lifecycle: lifecycleTests,
  endings: endingTests,
  aborts: abortTests,
  isolation: isolationTests,
  mounts: mountTests,
  content: contentTests,
  names: nameTests,
  'special files': specialFileTests,
  caches: cacheTests,
  'cache isolation': cacheIsolationTests,
  load: loadTests,
  sequences: sequenceTests,
  usage: usageTests,
  'full disk': fullDiskTests,
  features: featureTests,
  'past bugs': pastBugTests,
};

export interface StoreSuiteOptions {
  /**
   * Opens a store in a place of its own that nothing else has ever used. Called once for each test, and again where a
   * test needs another place of the same kind.
   */
  readonly open: () => Promise<StorePlace>;
  /**
   * Opens a store in a fresh place with room for 32 MiB or more, but at most 1 GiB, that nobody else needs: the tests
   * of the topic `full disk` fill it. Without it they are left out.
   */
  readonly openSmall?: () => Promise<StorePlace>;
  /** The features that the store has, each of which is tested. Default: none. */
  readonly features?: readonly StoreFeature[];
  /**
   * Topics, and titles of single tests, that the disk below or this kind of store cannot do. Say why where you leave
   * one out. What is no topic and no title is an error.
   */
  readonly except?: readonly (StoreTopic | (string & {}))[];
  /**
   * From 0 to 1, default 1: how much of what takes long is done, such as the length of chains and how many run at
   * once. For disks on which a snapshot takes a second.
   */
  readonly scale?: number;
  /** Of the random sequences: that of a failed test repeats it. */
  readonly seed?: number;
}

/**
 * Checks what `Store` asks of every backend, on real files, with the test functions of any runner. A test that fails
 * says which of the {@link storePromises} was broken, and shows what is in the store.
 *
 * Run it as root as well: owners, device nodes and file capabilities are only checked then.
 *
 * @example
 * import { describe, it } from 'node:test';
 * storeSuite({ describe, it }, { open: openMyStoreInAFreshPlace });
 * @throws Error if `except` has something that is no topic and no title.
 */
export function storeSuite(functions: TestFunctions, options: StoreSuiteOptions): void {
  const choice = new Choice('storeSuite', options.except);
  for (const [topic, register] of Object.entries(topics)) {
    const open = topic === 'full disk' ? options.openSmall : options.open;
    const tests = choice.of<Scene>(topic, (test) =>
      register(
        (title, body, { root = false } = {}) => test(title, body, open !== undefined && (isRoot || !root)),
        options,
      ),
    );
    if (open === undefined || tests.length === 0) continue;
    group(functions, `store: ${topic}`, (add) => {
      for (const { title, body } of tests) add(title, () => runTest(body, { ...options, open }));
    });
  }
  choice.expectAllKnown();
}

async function runTest(body: Parameters<StoreTest>[1], options: StoreSuiteOptions): Promise<void> {
  const { open, scale = 1, seed } = options;
  const scene = new Scene(await open(), { open, scale, ...(seed === undefined ? {} : { seed }) });
  try {
    await body(scene);
  } catch (error) {
    const shown = await withDump(error, scene);
    // What went wrong first is what counts.
    await scene[Symbol.asyncDispose]().catch(() => {});
    throw shown;
  }
  await scene[Symbol.asyncDispose]();
}
