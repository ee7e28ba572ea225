import { keeps, keepsEqual } from '../promise.ts';
import { sandboxPromises as promises } from './promises.ts';
import { codeOf, describeRan, type Ran, type SandboxTest } from './scene.ts';

/** How a command ended, and what it was given to begin with. */
export function exitTests(test: SandboxTest): void {
  test('answers with the exit code, whatever it is (L8)', async (scene) => {
    for (const code of [0, 1, 2, 125, 126, 127, 128, 137, 255]) {
      const ran = await scene.run(`exit ${code}`);
      keepsEqual(promises.exited, answer(ran), {
        type: 'exited',
        code,
      });
    }
  });
  test('answers a command that a signal ended as `signalled`, or with the code that a shell gives', async (scene) => {
    const numbers = { SIGKILL: 9, SIGTERM: 15, SIGSEGV: 11 };
    for (const [signal, number] of Object.entries(numbers)) {
      // Where the command is the first process of its world the signal does nothing, and the script goes on.
      const ran = await scene.run(`kill -${number} $$; exit ${128 + number}`);
      const exit = ran.result.isOk() ? codeOf(ran.result.value) : describeRan(ran);
      const expected: readonly unknown[] = [signal, 128 + number];
      keeps(promises.signalled, expected.includes(exit), exit);
    }
  });
  test('answers with the code of a shell where a signal ended what the command waited for', async (scene) => {
    for (const [signal, code] of [
      ['TERM', 143],
      ['KILL', 137],
      ['ABRT', 134],
    ] as const) {
      const ran = await scene.run(`sh -c 'kill -${signal} $$'; exit $?`);
      keepsEqual(promises.exited, answer(ran), {
        type: 'exited',
        code,
      });
    }
  });
  test('answers 127, with a line in the log that names it, where there is no such command', async (scene) => {
    for (const argv of [['no-such-command'], ['/no/such/command']] as const) {
      const ran = await scene.run(argv);
      keepsEqual(promises.notFound, answer(ran), { type: 'exited', code: 127 });
      const lines = ran.text.split('\n').filter((line) => line.includes(argv[0]));
      keeps(promises.notFound, lines.length > 0, ran.text);
    }
  });
  test('answers 126, with a line in the log that names it, where the command cannot be executed', async (scene) => {
    const file = `${scene.directory}/text`;
    await scene.outputOf(`mkdir -p ${scene.directory}; echo text >${file}; chmod 644 ${file}`);
    const ran = await scene.run([file]);
    keepsEqual(promises.notExecutable, answer(ran), {
      type: 'exited',
      code: 126,
    });
    keeps(promises.notExecutable, ran.text.includes(file), ran.text);
  });
  test('looks a command up in the PATH of its environment, in its order, in the world of the step', async (scene) => {
    const [first, second] = [`${scene.directory}/first`, `${scene.directory}/second`];
    const make = (dir: string) =>
      `mkdir -p ${dir}; printf '#!/bin/sh\\necho ${dir}\\n' >${dir}/suite-tool; chmod 755 ${dir}/suite-tool`;
    await scene.outputOf(`${make(first)}; ${make(second)}`);
    const { PATH } = scene.env();
    for (const [one, other] of [
      [first, second],
      [second, first],
    ]) {
      const env = { ...scene.env(), PATH: `${scene.directory}/none:${one}:${other}:${PATH}` };
      const promise = promises.lookup;
      const found = await scene.outputOf(['suite-tool'], { env, promise });
      keepsEqual(promise, found, `${one}\n`);
    }
    const promise = promises.lookup;
    const relative = await scene.outputOf(['./suite-tool'], { cwd: second, promise });
    keepsEqual(promise, relative, `${second}\n`);
    const missing = await scene.run(['suite-tool'], { cwd: first });
    keepsEqual(promises.lookup, answer(missing), {
      type: 'exited',
      code: 127,
    });
  });
  test('hands over every argument as it is', async (scene) => {
    const words = ['a b', '', '$HOME', '*', '-n', "it's", '"', 'ü\n', '\\', '{"json":[1]}', '%s'];
    const promise = promises.argv;
    const script = 'for a in "$@"; do printf "[%s]" "$a"; done';
    const output = await scene.outputOf(['/bin/sh', '-c', script, 'sh', ...words], { promise });
    keepsEqual(promise, output, words.map((word) => `[${word}]`).join(''));
  });
  test('can run the same thing again, and nothing of the first is in its way', async (scene) => {
    for (const line of ['one', 'two', 'three']) {
      await scene.expectUsable(line);
    }
  });
  test('may be disposed twice', async (scene) => {
    await scene.outputOf('true');
    await scene.sandbox[Symbol.asyncDispose]();
    await scene.sandbox[Symbol.asyncDispose]();
  });
}

function answer({ result }: Ran): unknown {
  return result.isOk() ? result.value : result.error;
}
