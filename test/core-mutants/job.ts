import { appendFileSync, readFileSync } from 'node:fs';

/** A test, and what it was seen to do with the program as it was written. */
export interface MeasuredTest {
  /** File and titles. */
  readonly name: string;
  readonly milliseconds: number;
  /** Of the processor alone: what it costs on a machine that does other things too. */
  readonly cpuMilliseconds: number;
  /** How often it came to a place that a mutant changes. */
  readonly calls: number;
  /** The mutants whose place it came to. */
  readonly reached: readonly number[];
  /** What it failed with. */
  readonly failure?: string;
}

/** What one process of vitest is to do; what comes of it is appended to `output`, a line of JSON for each {@link Line}. */
export type Job = { readonly output: string } & (
  | { readonly do: 'measure' }
  | {
      readonly do: 'judge';
      readonly tests: readonly MeasuredTest[];
      /** In this order. */
      readonly mutants: readonly number[];
      /** Of these it is known that no test kills them. */
      readonly survivors: readonly number[];
      /** No more of the processor is spent on a mutant. */
      readonly cpuMilliseconds: { readonly each: number; readonly survivor: number };
      /** A directory in which processes that share the work leave a file for each mutant that is taken. */
      readonly taken: string;
    }
);

export type Line =
  | { readonly type: 'measured'; readonly test: MeasuredTest }
  | { readonly type: 'begin'; readonly mutant: number }
  | { readonly type: 'running'; readonly test: string }
  | ({ readonly type: 'verdict'; readonly mutant: number } & Verdict)
  /** The process is of no more use; another shall take over. */
  | { readonly type: 'worn-out'; readonly why: string };

export type Verdict = { readonly milliseconds: number } & (
  | { readonly is: 'killed'; readonly by: string; readonly how: Kill; readonly message: string }
  | { readonly is: 'survived'; readonly tests: number; readonly ofTests: number }
);

/**
 * `failed`: an assertion, or what was thrown. `rejected`: a rejection that nobody handled. `hung`: nothing went on any
 * more. `late`: it took many times as long. `stuck`: so did a loop that lets nothing else run.
 */
export type Kill = 'failed' | 'rejected' | 'hung' | 'late' | 'stuck';

/** How long a test may take with a mutant. */
export function limitOf({ milliseconds }: MeasuredTest): number {
  return 10_000 + 20 * milliseconds;
}

/** The name of the environment variable that says where the job is. */
export const JOB = 'SNAPSTEP_CORE_MUTANTS_JOB';

export function readJob(): Job {
  return JSON.parse(readFileSync(process.env[JOB] ?? 'no job was given', 'utf8')) as Job;
}

export function tell(job: Job, line: Line): void {
  appendFileSync(job.output, `${JSON.stringify(line)}\n`);
}
