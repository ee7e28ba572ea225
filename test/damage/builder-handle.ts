import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Answer, Ask, Said } from './answer.ts';

const SCRIPT = join(import.meta.dirname, 'child/builder-process.ts');
/** The process bounds each call itself; a build and a look at every step are several. */
const PATIENCE_MS = 600_000;

type Trap = Extract<Said, { readonly trap: string }>;

/** A process with a builder in it, which may die of what is done to it. */
export class BuilderHandle implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #asked = new Map<number, (answers: readonly Answer[]) => void>();
  readonly #exited: Promise<void>;
  #pause: () => void = () => {};
  #traps: Trap[] = [];
  #count = 0;
  #errors = '';
  /** How it ended, if it has. */
  #end: string | undefined;

  /** @param env - Beside our own. */
  constructor(env: Readonly<Record<string, string>> = {}) {
    const stdio = ['ignore', 'ignore', 'pipe', 'ipc'] as const;
    this.#child = fork(SCRIPT, [], { execArgv: [], env: { ...process.env, ...env }, stdio: [...stdio] });
    this.#child.on('message', (said) => this.#hear(said as Said));
    this.#child.stderr?.on('data', (chunk) => {
      this.#errors = (this.#errors + chunk).slice(-4000);
    });
    this.#exited = once(this.#child, 'exit').then(([code, signal]) => {
      this.#end = `the process ended with ${signal ?? code} ${this.#errors.split('\n').slice(0, 12).join(' | ')}`;
      for (const settle of this.#asked.values()) settle([]);
    });
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  get isAlive(): boolean {
    return this.#end === undefined;
  }

  /** Settles when the build that was last asked to pause has come so far, or was answered. */
  get paused(): Promise<void> {
    return new Promise((resolve) => {
      this.#pause = resolve;
    });
  }

  /** The answers of all calls that were made for it; a process that dies or hangs is told as the last of them. */
  async ask(asked: Ask): Promise<readonly Answer[]> {
    if (this.#end !== undefined) return [];
    this.#count += 1;
    const { promise, resolve } = Promise.withResolvers<readonly Answer[]>();
    this.#asked.set(this.#count, resolve);
    const late = setTimeout(() => this.kill(), PATIENCE_MS);
    this.#child.send({ id: this.#count, asked });
    const answers = await promise;
    clearTimeout(late);
    this.#pause();
    return this.#end === undefined
      ? answers
      : [...answers, { call: asked.do, outcome: 'died', text: this.#end }];
  }

  /** What was trapped since it was last asked for this. */
  takeTraps(): readonly Trap[] {
    const traps = this.#traps;
    this.#traps = [];
    return traps;
  }

  kill(): void {
    this.#child.kill('SIGKILL');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.kill();
    await this.#exited;
  }

  #hear(said: Said): void {
    if ('trap' in said) this.#traps.push(said);
    else if ('paused' in said) this.#pause();
    else {
      this.#asked.get(said.to)?.(said.answers);
      this.#asked.delete(said.to);
    }
  }
}
