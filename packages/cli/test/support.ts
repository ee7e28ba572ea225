import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { busyboxRootfs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';

export const MAIN: string = fileURLToPath(new URL('../src/main.ts', import.meta.url));

export interface Outcome {
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** A directory with a busybox image, specs, and a store that every command in it uses. */
export type Workplace = Awaited<ReturnType<typeof workplace>>;

/** @param store - Default: an rsync store in the directory. */
export async function workplace(store?: string) {
  const dir = await tempDir();
  const rootfs = join(dir.path, 'rootfs');
  await mkdir(rootfs);
  await busyboxRootfs(rootfs);
  const location = store ?? `rsync:${join(dir.path, 'store')}`;
  const environment = { SNAPSTEP_STORE: location, XDG_STATE_HOME: join(dir.path, 'state'), NO_COLOR: '1' };

  /** Starts `snapstep`; whoever starts it waits for it. */
  const start = (args: readonly string[], options: RunOptions = {}) =>
    execa(process.execPath, [MAIN, ...args], {
      reject: false,
      cwd: dir.path,
      env: { ...environment, ...options.env },
      stripFinalNewline: false,
      input: options.input ?? '',
    });

  /** Runs `snapstep` to its end, as a process of its own. */
  const snapstep = async (args: readonly string[], options?: RunOptions): Promise<Outcome> => {
    const { exitCode, stdout, stderr } = await start(args, options);
    return { exitCode, stdout, stderr };
  };

  return {
    path: dir.path,
    store: location,
    environment,
    start,
    snapstep,
    /** The option that says what the base image is. */
    image: (): readonly string[] => ['--image', `busybox=rootfs:${rootfs}`],
    /** Writes a spec and gives its path. The base image is busybox, the shell `/bin/sh -c`. */
    async spec(name: string, ops: string): Promise<string> {
      const file = join(dir.path, name);
      await writeFile(file, `((from busybox)\n (shell /bin/sh -c)\n ${ops})\n`);
      return file;
    },
    /** Builds a spec with plain progress. */
    build: (spec: string, ...args: readonly string[]): Promise<Outcome> =>
      snapstep(['build', '-f', spec, '--image', `busybox=rootfs:${rootfs}`, '--progress', 'plain', ...args]),
    [Symbol.asyncDispose]: () => dir[Symbol.asyncDispose](),
  };
}

/** What differs from run to run, made equal. */
export function normalise(text: string, place: Workplace): string {
  return text
    .replaceAll(place.path, 'DIR')
    .replace(/\b\d+\.\d+s\b/g, 'N.Ns')
    .replace(/\b[0-9a-f]{64}\b/g, 'KEY');
}

/** Runs `snapstep` under `script`, which gives it a terminal. The command goes through a file, not through a shell's words. */
export async function onTerminal(
  place: Workplace,
  args: readonly string[],
): Promise<{ exitCode: number | undefined; output: string }> {
  const words = [process.execPath, MAIN, ...args];
  const file = join(place.path, 'command.sh');
  await writeFile(file, `stty cols 100 rows 30\nexec ${words.map((word) => `'${word}'`).join(' ')}\n`);
  const { exitCode, stdout } = await execa('script', ['-qefc', `sh ${file}`, '/dev/null'], {
    reject: false,
    stdin: 'ignore',
    env: { ...place.environment, TERM: 'xterm', CI: '' },
    extendEnv: true,
  });
  return { exitCode, output: stdout };
}
