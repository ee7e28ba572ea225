import { Choice } from '../choice.ts';
import { group, type TestFunctions } from '../test-functions.ts';
import { abortTests } from './aborts.ts';
import { accountTests } from './accounts.ts';
import { crashTests } from './crash.ts';
import { exitTests } from './exits.ts';
import { fullDiskTests } from './full-disk.ts';
import { inputTests } from './input.ts';
import { limitTests } from './limits.ts';
import { loadTests } from './load.ts';
import { mountTests } from './mounts.ts';
import { neighbourTests } from './neighbours.ts';
import { type NetworkTools, networkTests } from './network.ts';
import { outputTests } from './output.ts';
import { pastBugTests } from './past-bugs.ts';
import type { SandboxPlace, SandboxWorld } from './place.ts';
import { processTests } from './processes.ts';
import { SandboxScene, type SandboxTest } from './scene.ts';
import { secretTests } from './secrets.ts';
import { volumeTests } from './volumes.ts';
import { type EnvironmentOptions, worldTests } from './world.ts';

export type SandboxTopic =
  | 'exits'
  | 'output'
  | 'input'
  | 'aborts'
  | 'processes'
  | 'limits'
  | 'network'
  | 'world'
  | 'accounts'
  | 'mounts'
  | 'secrets'
  | 'volumes'
  | 'full disk'
  | 'neighbours'
  | 'load'
  | 'crash'
  | 'past bugs';

const topics: Readonly<Record<SandboxTopic, (test: SandboxTest, options: SandboxSuiteOptions) => void>> = {
  exits: exitTests,
  output: outputTests,
  input: inputTests,
  aborts: abortTests,
  processes: processTests,
  limits: limitTests,
  network: networkTests,
  world: worldTests,
  accounts: accountTests,
  mounts: mountTests,
  secrets: secretTests,
  volumes: volumeTests,
  'full disk': fullDiskTests,
  neighbours: neighbourTests,
  load: loadTests,
  crash: crashTests,
  'past bugs': pastBugTests,
};

export interface SandboxSuiteOptions extends SandboxWorld, NetworkTools, EnvironmentOptions {
  /** Opens a sandbox in a place of its own that nothing else has ever used. Called once for each test. */
  readonly open: () => Promise<SandboxPlace>;
  /**
   * Topics, and titles of single tests, that the place or this kind of sandbox cannot do. Say why where you leave one
   * out. What is no topic and no title is an error.
   */
  readonly except?: readonly (SandboxTopic | (string & {}))[];
}

/**
 * Checks what `Sandbox` asks of every backend, with real commands and the test functions of any runner. A test that
 * fails says which promise was broken.
 *
 * A limit is tested where the sandbox declares it, and running many at once as far as `concurrency` allows.
 *
 * @example
 * import { describe, it } from 'node:test';
 * const root = { name: 'root', uid: 0, gid: 0, home: '/root' };
 * sandboxSuite({ describe, it }, { open: openMySandboxInAFreshPlace, accounts: [root] });
 * @throws Error if `except` has something that is no topic and no title.
 */
export function sandboxSuite(functions: TestFunctions, options: SandboxSuiteOptions): void {
  const choice = new Choice('sandboxSuite', options.except);
  for (const [topic, register] of Object.entries(topics)) {
    const tests = choice.of<SandboxScene>(topic, (test) => register(test, options));
    if (tests.length === 0) continue;
    group(functions, `sandbox: ${topic}`, (add) => {
      for (const { title, body } of tests) add(title, () => runTest(body, options));
    });
  }
  choice.expectAllKnown();
}

async function runTest(
  body: (scene: SandboxScene) => Promise<void>,
  options: SandboxSuiteOptions,
): Promise<void> {
  await using scene = new SandboxScene(await options.open(), options);
  await body(scene);
  await scene.expectNothingLeft();
}
