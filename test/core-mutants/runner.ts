import { type RunnerTestCase, TestRunner } from 'vitest';
import { collected } from './collected.ts';
import { readJob, tell } from './job.ts';
import { board } from './switchboard.ts';
import { hung } from './trial.ts';

/** Measures each test, or keeps it for the judge, which comes last. */
export default class MutantRunner extends TestRunner {
  readonly #job = readJob();

  async runTask(test: RunnerTestCase): Promise<void> {
    const run = TestRunner.getTestFn(test) as () => Promise<void>;
    if (test.file.name.endsWith('judge.ts')) return run();
    const name = nameOf(test);
    if (this.#job.do === 'judge') return void collected.set(name, run);
    board.asked.clear();
    board.calls = 0;
    const [start, cpu] = [performance.now(), process.cpuUsage()];
    const end = new AbortController();
    // One that seems to hang by itself, since it sleeps, would seem to kill every mutant.
    const failure = await Promise.race([failureOf(run), hung(end.signal).then((found) => found?.message)]);
    end.abort();
    const milliseconds = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    const cpuMilliseconds = (user + system) / 1000;
    const { calls } = board;
    const measured = { name, milliseconds, cpuMilliseconds, calls, reached: [...board.asked] };
    tell(this.#job, { type: 'measured', test: failure === undefined ? measured : { ...measured, failure } });
  }
}

async function failureOf(run: () => Promise<void>): Promise<string | undefined> {
  try {
    await run();
    return undefined;
  } catch (error) {
    return String(error);
  }
}

function nameOf(test: RunnerTestCase): string {
  return `${test.file.name} > ${test.fullTestName}`;
}
