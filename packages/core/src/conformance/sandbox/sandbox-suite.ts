import { group, type Register, type TestFunctions } from '../test-functions.ts';
import { abortTests } from './aborts.ts';
import { accountTests } from './accounts.ts';
import { crashTests } from './crash.ts';
import { exitTests } from './exits.ts';
import { inputTests } from './input.ts';
import { limitTests } from './limits.ts';
import { loadTests } from './load.ts';
import { mountTests } from './mounts.ts';
import { neighbourTests } from './neighbours.ts';
import { type NetworkTools, networkTests } from './network.ts';
import { outputTests } from './output.ts';
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
  | 'neighbours'
  | 'load'
  | 'crash';

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
  neighbours: neighbourTests,
  load: loadTests,
  crash: crashTests,
};

export interface SandboxSuiteOptions extends SandboxWorld, NetworkTools, EnvironmentOptions {
  /** Opens a sandbox in a place of its own that nothing else has ever used. Called once for each test. */
  readonly open: () => Promise<SandboxPlace>;
  /** Topics that the place, not the sandbox, cannot do. Say why where you leave one out. */
  readonly except?: readonly SandboxTopic[];
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
 */
export function sandboxSuite(functions: TestFunctions, options: SandboxSuiteOptions): void {
  for (const [topic, register] of Object.entries(topics)) {
    if (options.except?.includes(topic as SandboxTopic)) continue;
    group(functions, `sandbox: ${topic}`, (add) => register(sandboxTest(add, options), options));
  }
}

function sandboxTest(add: Register, options: SandboxSuiteOptions): SandboxTest {
  return (title, body) =>
    add(title, async () => {
      await using scene = new SandboxScene(await options.open(), options);
      await body(scene);
      await scene.expectNothingLeft();
    });
}
