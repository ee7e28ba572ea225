import { inspect } from 'node:util';
import type { Need } from '@snapstep/test-support/machine';
import { lacking } from '@snapstep/test-support/machine';
import type { StoreKind } from './answer.ts';
import { type Bench, openBench } from './bench.ts';
import { type CaseReport, type DamageCase, NEEDS } from './case.ts';
import { descriptorCases } from './cases/descriptors.ts';
import { deviceCases } from './cases/device.ts';
import { fileCases, STORES } from './cases/files.ts';
import { fullCases } from './cases/full.ts';
import { helperCases } from './cases/helpers.ts';
import type { Reported } from './table.ts';
import { makeTemplate, type Template } from './template.ts';
import { Worker } from './worker.ts';

export interface DamageRun {
  readonly seed: string;
  /** Default: all. */
  readonly stores?: readonly StoreKind[];
  /** Whether each case looks at more. */
  readonly isLong: boolean;
  /** How many cases at the same time. */
  readonly workers: number;
  readonly isWanted: (one: DamageCase) => boolean;
  readonly signal: AbortSignal;
  /** Whether they are only named. */
  readonly isOnlyList: boolean;
  readonly onReport: (report: Reported) => void;
}

const NOTHING: CaseReport = { findings: [], told: 0 };

/** What this machine lacks of what the cases need. */
export function lacks(): readonly Need[] {
  return lacking(NEEDS);
}

/** Runs all wanted cases, each on disks of its own. */
export async function runDamage(run: DamageRun): Promise<void> {
  await using bench = await openBench();
  await using stack = new AsyncDisposableStack();
  const templates: Template[] = [];
  for (const store of run.stores ?? STORES) {
    await using worker = new Worker();
    templates.push(stack.use(await makeTemplate(bench, { store, worker })));
  }
  const all = [
    ...fileCases(templates, run.seed),
    ...fullCases,
    ...deviceCases(templates),
    ...descriptorCases(templates, run.isLong),
    ...helperCases(templates),
  ];
  const cases = all.filter(run.isWanted).values();
  await Promise.all(Array.from({ length: run.workers }, () => work(bench, { run, cases })));
}

async function work(
  bench: Bench,
  { run, cases }: { readonly run: DamageRun; readonly cases: Iterable<DamageCase> },
): Promise<void> {
  await using worker = new Worker();
  for (const one of cases) {
    if (run.signal.aborted) return;
    const start = performance.now();
    const report = run.isOnlyList
      ? NOTHING
      : await one.run({ bench, worker, seed: `${run.seed} ${one.name}` }).catch(
          (error: unknown): CaseReport => ({
            findings: [{ fault: 'broken', text: inspect(error) }],
            told: 0,
          }),
        );
    // What is stopped in the middle finds what it did not look for.
    if (run.signal.aborted) return;
    run.onReport({ ...report, case: one, milliseconds: performance.now() - start });
  }
}
