import { readFile } from 'node:fs/promises';
import { execa } from 'execa';

export interface BuildLogOptions {
  /** Gets the output of every program. */
  readonly file: string;
  readonly signal: AbortSignal;
}

/** Says what is being made, and keeps what the programs print for when one fails. */
export interface BuildLog {
  readonly signal: AbortSignal;
  /** Prints a line, with the seconds since the start. */
  step(text: string): void;
  /**
   * Runs a program, with mounts and processes of its own, so that none outlives it or us.
   *
   * @returns What it printed on standard output.
   * @throws Error with the end of the log if it fails.
   */
  run(file: string, args: readonly string[], options?: ProgramOptions): Promise<string>;
}

export interface ProgramOptions {
  readonly cwd?: string;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Lines of the log that an error shows. */
const TAIL = 30;

/** Keeps the mounts and processes of what follows together, ends them with us, and lets what else runs go first. */
const CONTAINED = [
  '-n',
  '10',
  'setpriv',
  '--pdeathsig',
  'KILL',
  'unshare',
  '--mount',
  '--pid',
  '--fork',
  '--kill-child',
];

export function openBuildLog({ file: log, signal }: BuildLogOptions): BuildLog {
  const start = performance.now();
  return {
    signal,
    step(text) {
      const seconds = ((performance.now() - start) / 1000).toFixed(0).padStart(4);
      console.log(`[guest ${seconds} s] ${text}`);
    },
    async run(file, args, { cwd, input, env } = {}) {
      const result = await execa('nice', [...CONTAINED, file, ...args], {
        ...(cwd === undefined ? {} : { cwd }),
        input: input ?? '',
        env: { LC_ALL: 'C', DEBIAN_FRONTEND: 'noninteractive', ...env },
        stdout: ['pipe', { file: log, append: true }],
        stderr: { file: log, append: true },
        maxBuffer: 1e9,
        cancelSignal: signal,
        reject: false,
      });
      if (signal.aborted) throw signal.reason;
      if (!result.failed) return result.stdout;
      const tail = (await readFile(log, 'utf8').catch(() => '')).trimEnd().split('\n').slice(-TAIL);
      throw new Error(`${result.shortMessage}\n${tail.join('\n')}\n(all of it: ${log})`);
    },
  };
}
