import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { execa } from 'execa';
import { JOB, type Job, type Line, limitOf, type MeasuredTest, type Verdict } from './job.ts';

const repository = resolve(import.meta.dirname, '../..');
/** How long nothing may be heard of a process beyond what its test may take. */
const SILENCE_MS = 60_000;
const LOOK_MS = 2000;
const PROGRESS_MS = 60_000;

export interface Workshop {
  /** Where the processes leave what they find, and the tests their temporary files. */
  readonly directory: string;
  readonly processes: number;
  readonly signal: AbortSignal;
}

/** Runs each test once, with the program as it was written. */
export async function measure(shop: Workshop, files: readonly string[]): Promise<readonly MeasuredTest[]> {
  const shares = Array.from({ length: shop.processes }, (_, i) =>
    files.filter((__, at) => at % shop.processes === i),
  );
  const lines = await Promise.all(
    shares.map(async (share, i) => {
      const output = join(shop.directory, `measured-${i}.jsonl`);
      await runJob(shop, { name: `measure-${i}`, files: share, job: { do: 'measure', output } });
      return readLines(output);
    }),
  );
  return lines.flat().flatMap((line) => (line.type === 'measured' ? [line.test] : []));
}

type Judging = Omit<Extract<Job, { readonly do: 'judge' }>, 'do' | 'output' | 'taken'>;

/** Lets several processes judge; one that is stuck or worn out is followed by another. */
export async function judgeAll(
  shop: Workshop,
  judging: Judging & { readonly files: readonly string[] },
): Promise<ReadonlyMap<number, Verdict>> {
  const taken = join(shop.directory, 'taken');
  await mkdir(taken);
  const verdicts = new Map<number, Verdict>();
  const { files, ...rest } = judging;
  const work = async (worker: number): Promise<void> => {
    for (let round = 0; !shop.signal.aborted; round += 1) {
      const output = join(shop.directory, `judged-${worker}-${round}.jsonl`);
      await runJob(shop, { name: `judge-${worker}`, files, job: { do: 'judge', output, taken, ...rest } });
      const lines = await readLines(output);
      if (lines.length === 0) return;
      for (const line of lines) if (line.type === 'verdict') verdicts.set(line.mutant, line);
      const open = unfinished(lines);
      if (open !== undefined) verdicts.set(open.mutant, open);
      for (const line of lines) if (line.type === 'worn-out') console.log(`a new process: ${line.why}`);
    }
  };
  const tell = async () => console.log(`${(await readdir(taken)).length} of ${rest.mutants.length} mutants`);
  const progress = setInterval(() => void tell(), PROGRESS_MS);
  await Promise.all(Array.from({ length: shop.processes }, (_, i) => work(i)));
  clearInterval(progress);
  return verdicts;
}

/** The mutant with which a process had to be killed. */
function unfinished(lines: readonly Line[]): (Verdict & { readonly mutant: number }) | undefined {
  const begun = lines.findLastIndex(({ type }) => type === 'begin');
  const line = lines[begun];
  if (line?.type !== 'begin' || lines.slice(begun).some(({ type }) => type === 'verdict')) return undefined;
  const last = lines.findLast((one) => one.type === 'running');
  const by = last?.type === 'running' ? last.test : 'no test';
  const message = 'its process had to be killed';
  return { mutant: line.mutant, is: 'killed', how: 'stuck', by, message, milliseconds: 0 };
}

async function runJob(
  { directory, signal }: Workshop,
  { name, files, job }: { readonly name: string; readonly files: readonly string[]; readonly job: Job },
): Promise<void> {
  const path = join(directory, `${name}.json`);
  const temp = join(directory, `temp-${name}`);
  await mkdir(temp, { recursive: true });
  await writeFile(path, JSON.stringify(job));
  const argv = [
    'run',
    '--config',
    'vitest.core-mutants.config.ts',
    '--reporter=dot',
    ...files,
    'core-mutants/judge.ts',
  ];
  const running = execa('vitest', argv, {
    cwd: repository,
    env: { TMPDIR: temp, [JOB]: path },
    detached: true,
    preferLocal: true,
    localDir: repository,
    reject: false,
    all: true,
    stdin: 'ignore',
  });
  const kill = (): void => void killGroup(running.pid);
  signal.addEventListener('abort', kill);
  const watch = setInterval(() => void isStuck(job).then((stuck) => stuck && kill()), LOOK_MS);
  const result = await running;
  clearInterval(watch);
  signal.removeEventListener('abort', kill);
  kill();
  if (result.exitCode !== 0 && result.signal === undefined) throw new Error(`${name} failed:\n${result.all}`);
}

/** Whether nothing was heard for so long that it must be a loop without end. */
async function isStuck(job: Job): Promise<boolean> {
  if (job.do === 'measure') return false;
  const heard = await stat(job.output).catch(() => undefined);
  if (heard === undefined) return false;
  const last = (await readLines(job.output)).at(-1);
  const test = last?.type === 'running' ? job.tests.find(({ name }) => name === last.test) : undefined;
  return Date.now() - heard.mtimeMs > SILENCE_MS + (test ? limitOf(test) : 0);
}

async function readLines(path: string): Promise<readonly Line[]> {
  const text = await readFile(path, 'utf8').catch(() => '');
  return text.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as Line]));
}

/** Vitest and what it started. */
function killGroup(pid: number | undefined): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing of it runs any more.
  }
}
