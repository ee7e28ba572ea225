import { setTimeout as delay } from 'node:timers/promises';
import type { RunRequest } from '../../backend/sandbox.ts';
import { keeps, keepsCancelled, keepsEqual } from '../promise.ts';
import { expectGone, inSession, makeMark, runUntilPrinted } from './processes.ts';
import { sandboxPromises as promises } from './promises.ts';
import { collect, describeRan, type Ran, type SandboxScene, type SandboxTest } from './scene.ts';

/** An abort kills every process, and `run` settles when they are gone. */
export function abortTests(test: SandboxTest): void {
  test('starts nothing where it is aborted before', async (scene) => {
    const reason = new Error('no longer wanted');
    const ran = await scene.run('echo started', { signal: AbortSignal.abort(reason) });
    expectCancelled(ran, reason);
    keepsEqual(promises.notStarted, ran.text, '');
  });
  test('ends what runs, and keeps what it printed', async (scene) => {
    const controller = new AbortController();
    const log = collect();
    const write = async (chunk: Uint8Array | string) => {
      await log.write(chunk);
      controller.abort('enough');
    };
    const mark = makeMark();
    const ran = await scene.run(`printf begun; sleep ${mark}`, {
      output: { write },
      signal: controller.signal,
    });
    expectCancelled(ran, 'enough');
    keepsEqual(promises.whole, log.text(), 'begun');
    await expectGone(mark);
  });
  test('ends grandchildren in sessions of their own, and what ignores signals', async (scene) => {
    const mark = makeMark();
    const stubborn = inSession(`trap "" TERM INT HUP; (sleep ${mark} &); sleep ${mark}; sleep ${mark}`);
    const script = `trap "" TERM INT HUP; ${stubborn}; sleep 1; echo ready; while :; do sleep ${mark}; done`;
    const { controller, running } = await runUntilPrinted(scene, script);
    controller.abort('enough');
    expectCancelled(await running, 'enough');
    await expectGone(mark);
  });
  test('ends a command that starts new processes all the time', async (scene) => {
    const mark = makeMark();
    const script = `echo go; i=0; while [ $i -lt 300 ]; do (sleep ${mark} &); i=$((i+1)); done; sleep ${mark}`;
    const { controller, running } = await runUntilPrinted(scene, script);
    controller.abort('enough');
    expectCancelled(await running, 'enough');
    await expectGone(mark);
  });
  test('ends processes that are stopped', async (scene) => {
    const mark = makeMark();
    const script = `sleep ${mark} & kill -STOP $!; echo ready; wait`;
    const { controller, running } = await runUntilPrinted(scene, script);
    controller.abort('enough');
    expectCancelled(await running, 'enough');
    await expectGone(mark);
  });
  test('leaves nothing when it is aborted at any moment (L5, L6)', async (scene) => {
    const [volume, before] = [await scene.cache(), await scene.tree()];
    const mounts = [{ volume, target: `${scene.directory}/cache` }];
    const secrets = [{ target: `${scene.directory}/secret`, value: Buffer.from('sw0rdfish') }];
    for (let wait = -1; wait < 130; wait += 5) {
      await abortedAfter(scene, wait, { mounts, secrets });
      await scene.expectNothingLeft();
    }
    keepsEqual(promises.noTrace, await scene.tree(), before);
    await scene.expectUsable();
  });
  test('answers with an exit or a cancellation when it is aborted around the end', async (scene) => {
    for (let round = 0; round < 15; round += 1) {
      const controller = new AbortController();
      const write = async () => void setTimeout(() => controller.abort('late'), Math.random() * 25);
      const ran = await scene.run('echo x', { output: { write }, signal: controller.signal });
      if (ran.result.isErr()) expectCancelled(ran, 'late');
      else keepsEqual(promises.exited, ran.result.value, { type: 'exited', code: 0 });
    }
  });
  test('does nothing when it is aborted after the end', async (scene) => {
    const controller = new AbortController();
    await scene.outputOf('echo x', { signal: controller.signal });
    controller.abort('too late');
    await scene.expectUsable();
  });
  test('is not held up by a log that takes nothing any more', async (scene) => {
    const controller = new AbortController();
    const write = () => {
      controller.abort('enough');
      return new Promise<void>(() => {});
    };
    const ran = await scene.run('while :; do echo y; done', { output: { write }, signal: controller.signal });
    expectCancelled(ran, 'enough');
  });
}

/** @param milliseconds - Less than 0: before anything else happens. */
async function abortedAfter(
  scene: SandboxScene,
  milliseconds: number,
  more: Partial<RunRequest>,
): Promise<void> {
  const controller = new AbortController();
  const mark = makeMark();
  const script = `${inSession(`sleep ${mark}`)}; sleep ${mark}`;
  const running = scene.run(script, { ...more, signal: controller.signal });
  if (milliseconds >= 0) await delay(milliseconds);
  controller.abort('enough');
  expectCancelled(await running, 'enough');
  await expectGone(mark);
}

function expectCancelled(ran: Ran, reason: unknown): void {
  keeps(promises.cancelled, ran.result.isErr(), describeRan(ran));
  keepsCancelled(promises.cancelled, ran.result.error, reason);
}
