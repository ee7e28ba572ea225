import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { Sandbox } from '../../backend/sandbox.ts';
import type { StoreFeature, StoreFeatures } from '../../backend/store.ts';
import { keepsEqual } from '../promise.ts';
import type { SandboxPlace, SandboxWorld } from './place.ts';
import { commandLinesWith, inSession, makeMark } from './processes.ts';
import { sandboxPromises as promises } from './promises.ts';
import { SandboxScene, type SandboxTest } from './scene.ts';

const MARK = 'SNAPSTEP_SUITE_MARK';

/** The death of the process that holds the sandbox. */
export function crashTests(test: SandboxTest): void {
  test('leaves nothing of a dead owner once it is opened again (if the place can restart; R1, X2)', async (scene) => {
    const { restart } = scene.place;
    if (restart === undefined) return;
    await scene.sandbox[Symbol.asyncDispose]();
    // In the middle of a command, and before and around its start.
    for (const wait of ['running', Math.random() * 100, 'running', Math.random() * 400] as const) {
      const mark = makeMark();
      await killOwner(restart.command, { mark, wait });
      scene.sandbox = await restart.open();
      keepsEqual(promises.deadOwner, await commandLinesWith(mark), []);
      keepsEqual(promises.deadOwner, (await scene.place.leftovers?.()) ?? [], []);
      await scene.expectUsable();
      await scene.sandbox[Symbol.asyncDispose]();
    }
    scene.sandbox = await restart.open();
  });
}

/**
 * Runs commands in a sandbox until the process is killed, and says on standard output what it does. A process that
 * does nothing else is what `sandboxSuite` kills: see {@link SandboxPlace.restart}.
 */
export async function occupy(
  sandbox: Sandbox<StoreFeature>,
  place: Pick<SandboxPlace, 'volumes' | 'cache'> & {
    readonly world: SandboxWorld;
    readonly features?: Partial<StoreFeatures>;
  },
): Promise<never> {
  const mark = process.env[MARK] ?? makeMark();
  const scene = new SandboxScene({ ...place, sandbox, [Symbol.asyncDispose]: async () => {} }, place.world);
  writeSync(1, 'opened\n');
  for (;;) {
    await scene.run(`${inSession(`sleep ${mark}`)}; echo running; sleep ${mark}`, {
      mounts: [{ volume: await scene.cache(), target: `${scene.directory}/cache` }],
      secrets: [{ target: `${scene.directory}/secret`, value: Buffer.from('sw0rdfish') }],
      output: { write: async (chunk) => void writeSync(1, chunk as Uint8Array) },
    });
  }
}

async function killOwner(
  [file, ...args]: readonly [string, ...string[]],
  { mark, wait }: { readonly mark: string; readonly wait: number | 'running' },
): Promise<void> {
  const child = spawn(file, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, [MARK]: mark },
  });
  const exited = once(child, 'exit');
  const reached = Promise.withResolvers<void>();
  let printed = '';
  let complaint = '';
  child.stdout.on('data', (chunk) => {
    printed += chunk;
    if (printed.includes(wait === 'running' ? 'running\n' : 'opened\n')) reached.resolve();
  });
  child.stderr.on('data', (chunk) => {
    complaint += chunk;
  });
  await Promise.race([reached.promise, exited]);
  if (wait !== 'running') await delay(wait);
  child.kill('SIGKILL');
  await exited;
  assert.equal(child.signalCode, 'SIGKILL', `the owner ended by itself: ${printed}${complaint}`);
}
