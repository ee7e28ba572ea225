import { keeps, keepsEqual } from '../promise.ts';
import { sandboxPromises as promises } from './promises.ts';
import { collect, type SandboxScene, type SandboxTest } from './scene.ts';

/** Many at once, as far as the sandbox says that it can. */
export function loadTests(test: SandboxTest): void {
  test('runs 20 commands at once, or as many as `concurrency` says', async (scene) => {
    const many = Math.min(20, scene.sandbox.concurrency);
    const volumes = await Promise.all(Array.from({ length: many }, () => scene.freshVolumes()));
    const exits = await Promise.all(volumes.map((own, number) => runOne(scene, { own, number })));
    const expected = volumes.map((_, number) => ({
      exit: { type: 'exited', code: number },
      text: `${number}\nmine\n`,
    }));
    keepsEqual(promises.concurrency, exits, expected);
    scene.expectUnmounted();
  });
  test('ends only the one that is aborted', async (scene) => {
    if (scene.sandbox.concurrency < 2) return;
    const controller = new AbortController();
    const [one, other] = [await scene.freshVolumes(), await scene.freshVolumes()];
    const script = 'echo go; sleep 1; exit 6';
    const write = async () => controller.abort('enough');
    const [aborted, finished] = await Promise.all([
      scene.start(
        await scene.request(script, { volumes: one, signal: controller.signal, output: { write } }),
      ),
      scene.start(await scene.request(script, { volumes: other })),
    ]);
    keeps(promises.cancelled, aborted.isErr() && aborted.error.type === 'cancelled', aborted);
    keepsEqual(promises.abortsOne, finished.isOk() && finished.value, {
      type: 'exited',
      code: 6,
    });
  });
}

async function runOne(
  scene: SandboxScene,
  { own, number }: { readonly own: Awaited<ReturnType<SandboxScene['volumes']>>; readonly number: number },
): Promise<{ readonly exit: unknown; readonly text: string }> {
  const output = collect();
  const script = `echo ${number}; mkdir ${scene.directory}; echo mine >${scene.directory}/mine; cat ${scene.directory}/*; exit ${number}`;
  const result = await scene.start(await scene.request(script, { volumes: own, output }));
  return { exit: result.isOk() ? result.value : result.error, text: output.text() };
}
