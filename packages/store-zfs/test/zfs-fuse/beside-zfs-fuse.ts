import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';

/** What a process beside a zfs-fuse daemon says of a test that it ran. */
export interface Report {
  readonly title: string;
  /** Undefined if it passed. */
  readonly failure?: string;
}

const NAMESPACES = ['--mount', '--pid', '--fork', '--kill-child', '--mount-proc', '--propagation', 'slave'];
const HANGS_AFTER_MS = 30_000;

/**
 * A program, such as one that calls `runTests`, beside a zfs-fuse daemon with an empty pool `fuse`, in namespaces of
 * their own: nobody else sees the pool or its mounts. It starts with the first test. Disposing it ends it, with the
 * daemon and all that it mounted.
 */
export class BesideZfsFuse implements AsyncDisposable {
  readonly #program: string;
  #child: ChildProcess | undefined;

  constructor(program: string) {
    this.#program = program;
  }

  /**
   * Runs one of the tests that the program registered; rejects if it fails. The daemon hangs now and then: a test that
   * does not end runs once more beside a fresh one.
   */
  async run(title: string): Promise<void> {
    const report = (await this.#tryToRun(title)) ?? (await this.#tryToRun(title));
    if (report === undefined) throw new Error(`it twice did not end within ${HANGS_AFTER_MS} ms`);
    if (report.failure !== undefined) throw new Error(report.failure);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    this.#child = undefined;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    // The first process of the namespaces, and with it every other, is killed at the end of `unshare`.
    child.kill('SIGKILL');
    await once(child, 'exit');
  }

  async #tryToRun(title: string): Promise<Report | undefined> {
    this.#child ??= await start(this.#program);
    const report = await answerTo(title, this.#child);
    if (report === undefined) await this[Symbol.asyncDispose]();
    return report;
  }
}

async function start(program: string): Promise<ChildProcess> {
  const args = [...NAMESPACES, 'sh', join(import.meta.dirname, 'enter.sh'), process.execPath, program];
  const child = spawn('unshare', args, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const [first] = await Promise.race([once(child, 'message'), once(child, 'exit')]);
  if (first !== 'ready') throw new Error(`the process beside zfs-fuse ended at once, with ${first}`);
  return child;
}

/** @returns Undefined if the process ended, or did not answer in time. */
async function answerTo(title: string, child: ChildProcess): Promise<Report | undefined> {
  const stop = new AbortController();
  const { signal } = stop;
  child.send(title, () => {});
  const timer = setTimeout(() => stop.abort(), HANGS_AFTER_MS);
  const onExit = (): void => stop.abort();
  child.once('exit', onExit);
  try {
    const [report] = await once(child, 'message', { signal });
    return report;
  } catch (error) {
    if (signal.aborted) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
    child.off('exit', onExit);
  }
}
