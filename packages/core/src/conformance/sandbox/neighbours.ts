import { runCommand } from '../../backend/command.ts';
import type { SecretFile } from '../../backend/sandbox.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { makeMark, pidsWith } from './processes.ts';
import { sandboxPromises as promises } from './promises.ts';
import { collect, type SandboxScene, type SandboxTest } from './scene.ts';

/** Commands that run at once share nothing that they were not both given. Nothing to test where only one can run. */
export function neighbourTests(test: SandboxTest): void {
  beside(test, 'does not see the processes of a command beside it', async (scene, { mark }) => {
    // In two parts, so that it does not find itself.
    const [one, other] = [mark.slice(0, 5), mark.slice(5)];
    const look = `read -r line <$file; case "$line" in *"$one$other"*) echo $file;; esac`;
    const seen = await scene.outputOf(
      `one=${one} other=${other}; for file in /proc/[0-9]*/cmdline; do ${look}; done 2>/dev/null; true`,
    );
    keepsEqual(promises.apart, seen, '');
  });
  beside(test, 'cannot signal a command beside it, whatever number it has', async (scene, { mark }) => {
    const pids = await pidsWith(mark);
    for (const pid of pids) await scene.run(`kill -9 ${pid} 2>/dev/null; true`);
    keepsEqual(promises.apart, await pidsWith(mark), pids);
  });
  beside(test, 'does not see the secrets of a command beside it (S3)', async (scene, { secret }) => {
    const { target } = secret;
    const script = `ls ${scene.secretPlace(target)} /proc/[0-9]*/root${target} 2>/dev/null; true`;
    keepsEqual(promises.secretGone, await scene.outputOf(script), '');
  });
  beside(test, 'shares no memory with a command beside it, nor with the host', async (scene, { mark }) => {
    const files = await scene.outputOf('ls /dev/shm 2>/dev/null; true');
    keeps(promises.apart, !files.includes(mark), files);
    await using segment = await sharedMemory();
    const listed = await scene.outputOf('cat /proc/sysvipc/shm 2>/dev/null; true');
    const seen = listed.split('\n').filter((line) => line.trim().startsWith(`${segment.key} `));
    keepsEqual(promises.apart, seen, []);
  });
  test('gives one cache to two commands at once (R11)', async (scene) => {
    if (scene.sandbox.concurrency < 2) return;
    const target = `${scene.directory}/deep/cache`;
    const mounts = [{ volume: await scene.cache(), target }];
    const commands = ['one', 'other'].map(async (name) => {
      const [volumes, output] = [await scene.freshVolumes(), collect()];
      const script = `cd ${target} && echo ${name} >${name} && cat ${name}`;
      const result = await scene.start(await scene.request(script, { volumes, mounts, output }));
      return result.isOk() ? output.text() : result.error;
    });
    const printed = await Promise.all(commands);
    keepsEqual(promises.sharedCache, printed, ['one\n', 'other\n']);
  });
}

interface Neighbour {
  /** It sleeps for so many seconds, and has a file of that name in /dev/shm. */
  readonly mark: string;
  readonly secret: SecretFile;
}

/** A test while another command runs, in volumes of its own. */
function beside(
  test: SandboxTest,
  title: string,
  body: (scene: SandboxScene, neighbour: Neighbour) => Promise<void>,
): void {
  test(title, async (scene) => {
    if (scene.sandbox.concurrency < 2) return;
    const mark = makeMark();
    const secret = { target: `${scene.directory}/secret`, value: Buffer.from('sw0rdfish') };
    const [controller, ready] = [new AbortController(), Promise.withResolvers<void>()];
    const request = await scene.request(`echo x 2>/dev/null >/dev/shm/${mark}; echo ready; sleep ${mark}`, {
      volumes: await scene.freshVolumes(),
      secrets: [secret],
      output: { write: async () => ready.resolve() },
      signal: controller.signal,
    });
    const running = scene.start(request);
    try {
      await Promise.race([ready.promise, running]);
      await body(scene, { mark, secret });
    } finally {
      controller.abort('enough');
      await running;
    }
  });
}

/** A segment of System V shared memory, where the host has the tools to make one. */
async function sharedMemory(): Promise<AsyncDisposable & { readonly key: string }> {
  const made = process.platform === 'linux' ? await runCommand('ipcmk', ['--shmem', '4096']) : undefined;
  const id = made?.isOk() ? /\d+\s*$/.exec(made.value)?.[0].trim() : undefined;
  const listed = id === undefined ? undefined : await runCommand('cat', ['/proc/sysvipc/shm']);
  const row = listed?.isOk()
    ? listed.value.split('\n').find((line) => line.trim().split(/\s+/)[1] === id)
    : undefined;
  return {
    key: row?.trim().split(/\s+/)[0] ?? 'none',
    [Symbol.asyncDispose]: async () => {
      if (id !== undefined) await runCommand('ipcrm', ['--shmem-id', id]);
    },
  };
}
