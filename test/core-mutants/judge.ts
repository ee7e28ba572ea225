import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { it } from 'vitest';
import { instrumentAll, mutantsById } from './all-mutants.ts';
import { collected } from './collected.ts';
import { MODULE, type Mutant } from './instrument.ts';
import { type Job, type MeasuredTest, readJob, tell, type Verdict } from './job.ts';
import { catchStrays, type Outcome, trial } from './trial.ts';

type Judging = Job & { readonly do: 'judge' };

/** After so many verdicts the test that killed last is run with no mutant: it must pass. */
const CHECKED_EVERY = 20;

it('judges the mutants', { timeout: 2 ** 31 - 1 }, async () => {
  const job = readJob();
  if (job.do !== 'judge') return;
  catchStrays();
  const mutants = mutantsById(instrumentAll());
  const order = new TestOrder(job.tests, mutants);
  let sinceCheck = 0;
  for (const id of job.mutants) {
    const mutant = mutants.get(id);
    if (mutant === undefined || !take(job, id)) continue;
    tell(job, { type: 'begin', mutant: id });
    const verdict = await judge(job, mutant, order);
    tell(job, { type: 'verdict', mutant: id, ...verdict });
    if (verdict.is !== 'killed') continue;
    sinceCheck += 1;
    if (verdict.how === 'late') return tell(job, { type: 'worn-out', why: 'a test may still go on' });
    if (sinceCheck < CHECKED_EVERY) continue;
    sinceCheck = 0;
    const why = await failureWithout(order.test(verdict.by));
    if (why)
      return tell(job, { type: 'worn-out', why: `${verdict.by} fails with no mutant: ${why.message}` });
  }
});

async function judge(job: Judging, mutant: Mutant, order: TestOrder): Promise<Verdict> {
  const start = performance.now();
  const tests = order.for(mutant);
  const { each, survivor } = job.cpuMilliseconds;
  const budget = job.survivors.includes(mutant.id) ? survivor : each;
  const cpu = process.cpuUsage();
  let done = 0;
  for (const test of tests) {
    const { user, system } = process.cpuUsage(cpu);
    if (user + system > 1000 * budget) break;
    tell(job, { type: 'running', test: test.name });
    const outcome = await tryTest(test, mutant.id);
    done += 1;
    if (outcome === undefined) continue;
    order.remember(mutant, test);
    return { is: 'killed', by: test.name, ...outcome, milliseconds: performance.now() - start };
  }
  return { is: 'survived', tests: done, ofTests: tests.length, milliseconds: performance.now() - start };
}

/** A stray rejection may be of an earlier mutant: only one that comes again counts. */
async function tryTest(test: MeasuredTest, mutant: number): Promise<Outcome> {
  const run = collected.get(test.name);
  if (run === undefined) throw new Error(`the test "${test.name}" was not collected`);
  const first = await trial(run, { test, mutant });
  return first?.how === 'rejected' ? trial(run, { test, mutant }) : first;
}

function failureWithout(test: MeasuredTest): Promise<Outcome> {
  return tryTest(test, 0);
}

function take({ taken }: Judging, id: number): boolean {
  try {
    writeFileSync(join(taken, `${id}`), '', { flag: 'wx' });
    return true;
  } catch {
    return false;
  }
}

/**
 * Quick tests first, those that come to little else, those of the file's own tests, those that speak of the same things,
 * and those that killed near.
 */
class TestOrder {
  readonly #tests: ReadonlyMap<string, MeasuredTest>;
  readonly #reaching = new Map<number, MeasuredTest[]>();
  readonly #kills = new Map<string, number>();

  constructor(tests: readonly MeasuredTest[], mutants: ReadonlyMap<number, Mutant>) {
    this.#tests = new Map(tests.map((test) => [test.name, test]));
    // What the constants of a module do shows in whatever test comes to the module.
    const constants = Map.groupBy(
      [...mutants.values()].filter(({ within }) => within === MODULE),
      ({ file }) => file,
    );
    for (const test of tests) {
      const files = new Set(test.reached.flatMap((id) => mutants.get(id)?.file ?? []));
      const ofFiles = [...files].flatMap((file) => (constants.get(file) ?? []).map(({ id }) => id));
      for (const id of new Set([...test.reached, ...ofFiles])) {
        this.#reaching.set(id, [...(this.#reaching.get(id) ?? []), test]);
      }
    }
  }

  test(name: string): MeasuredTest {
    const test = this.#tests.get(name);
    if (test === undefined) throw new Error(`the test "${name}" was not measured`);
    return test;
  }

  for(mutant: Mutant): readonly MeasuredTest[] {
    const own = `/${mutant.file.replace(/ts$/, 'test.ts')} > `;
    const subject = wordsOf(`${mutant.within} ${mutant.name}`);
    const cost = (test: MeasuredTest): number =>
      ((test.cpuMilliseconds + 2) * test.reached.length) /
      (test.name.includes(own) ? 10 : 1) /
      (1 + 3 * [...wordsOf(test.name)].filter((word) => subject.has(word)).length) /
      (1 + this.#count(mutant.file, test) + 4 * this.#count(place(mutant), test));
    const costs = new Map((this.#reaching.get(mutant.id) ?? []).map((test) => [test, cost(test)]));
    return [...costs].sort(([, a], [, b]) => a - b).map(([test]) => test);
  }

  remember(mutant: Mutant, { name }: MeasuredTest): void {
    for (const where of [mutant.file, place(mutant)]) {
      this.#kills.set(`${where} ${name}`, (this.#kills.get(`${where} ${name}`) ?? 0) + 1);
    }
  }

  #count(where: string, { name }: MeasuredTest): number {
    return this.#kills.get(`${where} ${name}`) ?? 0;
  }
}

/** Such as `ignore` and `file` of `ignoreFiles`. */
function wordsOf(text: string): Set<string> {
  const words =
    text
      .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
      .toLowerCase()
      .match(/[a-z]{3,}/g) ?? [];
  return new Set(words.map((word) => word.replace(/(s|d|ed|ing)$/, '')));
}

function place({ file, within }: Mutant): string {
  return `${file}:${within}`;
}
