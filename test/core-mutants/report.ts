import type { Mutant } from './instrument.ts';
import type { Verdict } from './job.ts';
import { listed } from './survivors.ts';

export interface Findings {
  readonly verdicts: ReadonlyMap<number, Verdict>;
  readonly isVerbose: boolean;
}

/** Of each file so many must be killed. */
const WANTED = 0.9;

/** Prints who survived, and a line for each file. @returns Whether all is as it should be. */
export function printReport(mutants: readonly Mutant[], findings: Findings): boolean {
  const { verdicts, isVerbose } = findings;
  let isGood = true;
  for (const mutant of mutants) {
    const verdict = verdicts.get(mutant.id);
    const known = listed(mutant);
    const isRight = (verdict?.is === 'survived') === (known !== undefined) || known?.isRace === true;
    const isExpected = verdict !== undefined && isRight;
    if (!isExpected) isGood = false;
    if (!isExpected || isVerbose) console.log(describe(mutant, { verdict, isListed: known !== undefined }));
  }
  console.log(`\n${row('', 'mutants', 'killed', 'survived', 'score')}`);
  for (const [file, ofFile] of Map.groupBy(mutants, (mutant) => mutant.file)) {
    const killed = count(ofFile, verdicts, 'killed');
    if (killed < WANTED * ofFile.length) isGood = false;
    console.log(tableRow(file, ofFile.length, killed));
  }
  console.log(tableRow('total', mutants.length, count(mutants, verdicts, 'killed')));
  return isGood;
}

function describe(
  { file, line, within, name }: Mutant,
  { verdict, isListed }: { readonly verdict: Verdict | undefined; readonly isListed: boolean },
): string {
  const head = `${file}:${line} ${within}: ${name}`;
  if (verdict === undefined) return `NOT JUDGED ${head}`;
  if (verdict.is === 'survived') {
    const tests =
      verdict.ofTests === 0 ? 'no test comes there' : `${verdict.tests} of ${verdict.ofTests} tests passed`;
    return `${isListed ? 'survived' : 'SURVIVED'} ${head}\n    ${tests}`;
  }
  const by = `    ${verdict.how} in ${Math.round(verdict.milliseconds)} ms: ${verdict.by}\n    ${verdict.message}`;
  return `${isListed ? 'KILLED, AND LISTED AS A SURVIVOR' : 'killed'} ${head}\n${by}`;
}

function count(
  mutants: readonly Mutant[],
  verdicts: ReadonlyMap<number, Verdict>,
  is: Verdict['is'],
): number {
  return mutants.filter(({ id }) => verdicts.get(id)?.is === is).length;
}

function tableRow(name: string, all: number, killed: number): string {
  return row(name, `${all}`, `${killed}`, `${all - killed}`, `${((100 * killed) / all).toFixed(1)} %`);
}

function row(name: string, ...numbers: readonly string[]): string {
  return `${name.padEnd(28)}${numbers.map((number) => number.padStart(10)).join('')}`;
}
