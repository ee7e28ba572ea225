import { type Answer, type Ask, type KnownStep, OWN, type WorldPlace } from './answer.ts';
import type { Bench } from './bench.ts';
import type { BuilderHandle } from './builder-handle.ts';
import type { Fault, Finding } from './finding.ts';
import type { Tree } from './recipes.ts';
import type { Worker } from './worker.ts';

const FAULT_OF: Readonly<Record<Answer['outcome'], Fault | undefined>> = {
  ok: undefined,
  err: undefined,
  rejected: 'rejection',
  thrown: 'rejection',
  hung: 'hang',
  died: 'death',
};

/** One case in the making: asks a builder, and keeps what is found. */
export class Trial {
  readonly bench: Bench;
  readonly findings: Finding[] = [];
  /** What every step that was ever built must hold. */
  readonly known: Map<string, Tree> = new Map();
  /** How many calls said, as they should, that they failed. */
  told = 0;
  readonly #worker: Worker;

  constructor(
    bench: Bench,
    { worker, known = [] }: { readonly worker: Worker; readonly known?: readonly KnownStep[] },
  ) {
    this.bench = bench;
    this.#worker = worker;
    for (const { key, tree } of known) this.known.set(key, tree);
  }

  /** The process with the builder. */
  get handle(): BuilderHandle {
    return this.#worker.handle;
  }

  get hasDied(): boolean {
    return this.findings.some(({ fault }) => fault === 'death' || fault === 'hang');
  }

  find(fault: Fault, text: string): void {
    this.findings.push({ fault, text });
  }

  /** @param options.must - Whether it has to work. */
  async ask(asked: Ask, options: { readonly must?: string | undefined } = {}): Promise<readonly Answer[]> {
    const { handle } = this;
    const answers = await handle.ask(asked);
    for (const answer of answers) this.#judge(answer, options.must);
    for (const { trap, text } of handle.takeTraps())
      this.find(trap === 'unhandledRejection' ? 'unhandled' : 'death', `${asked.do}: ${text}`);
    if (answers.some(({ outcome }) => outcome === 'hung')) handle.kill();
    return answers;
  }

  /** @returns Whether all parts are open. What was opened is closed otherwise. */
  async open(place: WorldPlace, options: { readonly must?: string | undefined } = {}): Promise<boolean> {
    const answers = await this.ask({ do: 'open', place }, options);
    if (answers.length === 4 && answers.every(({ outcome }) => outcome === 'ok')) return true;
    await this.ask({ do: 'close' });
    return false;
  }

  async build(
    recipe: Extract<Ask, { readonly do: 'build' }>['recipe'],
    options: { readonly must?: string | undefined; readonly pauseAt?: string } = {},
  ): Promise<Answer | undefined> {
    const { pauseAt } = options;
    const asked = { do: 'build', recipe, ...(pauseAt === undefined ? {} : { pauseAt }) } as const;
    const [answer] = await this.ask(asked, options);
    for (const { key, tree } of (answer?.value ?? []) as readonly KnownStep[]) this.known.set(key, tree);
    return answer;
  }

  /** @returns The keys that are listed. */
  async audit(): Promise<ReadonlySet<string>> {
    const known = [...this.known].map(([key, tree]) => ({ key, tree }));
    const [list] = await this.ask({ do: 'audit', known });
    return new Set((list?.value ?? []) as readonly string[]);
  }

  #judge(answer: Answer, must: string | undefined): void {
    const fault = answer.call === OWN ? 'broken' : FAULT_OF[answer.outcome];
    const text = `${answer.call}: ${answer.text ?? ''}`;
    if (fault !== undefined) this.find(fault, text);
    if (answer.outcome === 'err') this.told += 1;
    if (answer.outcome === 'err' && must !== undefined) this.find('refused', `${must}: ${text}`);
    for (const each of answer.wrong ?? []) this.find('wrong', `${answer.call}: ${each}`);
  }
}
