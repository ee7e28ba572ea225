import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Verdict } from './judge.ts';
import type { Plan } from './plans.ts';

export interface RunTask extends Plan {
  /** The same number gives the same builds. */
  readonly seed: number;
}

/** What is left after one cut. */
export interface VerdictReport extends Verdict {
  readonly type: 'verdict';
  readonly world: string;
}

/** What is said while it runs, a line of JSON for each. */
export type Report =
  | VerdictReport
  /** Something failed that is not the verdict on a cut. */
  | { readonly type: 'failed'; readonly world: string; readonly message: string };

export interface RunOptions {
  /** Where its temporary files are. Default: where those of this process are. */
  readonly temp?: string;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

const PROGRAM = fileURLToPath(new URL('run-process.ts', import.meta.url));

/** Lets builders work in each of the worlds and cuts their power. It leaves nothing mounted, however it ends. */
export async function* runPowerCuts(task: RunTask, options: RunOptions): AsyncGenerator<Report> {
  const { temp, signal } = options;
  const inItsOwn = ['--mount', '--propagation', 'slave', process.execPath, PROGRAM, JSON.stringify(task)];
  const env = { ...process.env, ...(temp === undefined ? {} : { TMPDIR: temp }) };
  const child = spawn('unshare', inItsOwn, { env, stdio: ['pipe', 'pipe', 'inherit'] });
  const ended = once(child, 'close') as Promise<[code: number | null]>;
  const stop = () => void child.stdin.end();
  signal.addEventListener('abort', stop);
  if (signal.aborted) stop();
  try {
    for await (const line of createInterface({ input: child.stdout })) yield JSON.parse(line) as Report;
    const [code] = await ended;
    if (code !== 0) yield { type: 'failed', world: 'all', message: `the process ended with ${code}` };
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
    await ended;
  }
}
