/**
 * Checks the conformance suites themselves: backends that break one promise each must fail for it.
 * `npm run test:mutants`, or with parts of the names: `npm run test:mutants -- store:visible`.
 */
import { lacking } from '@snapstep/test-support/machine';
import { mutantsByPromise } from '../test/mutants/by-promise.ts';
import type { Mutant, Verdict } from '../test/mutants/mutant.ts';
import { KINDS, type Kind, mutantsOf, PROMISES } from '../test/mutants/mutants.ts';
import { runMutant } from '../test/mutants/run-mutants.ts';
import { stopSignal } from './checks/stop.ts';

const wanted = process.argv.slice(2);
const stop = stopSignal();
let skipped = 0;
let count = 0;
let killed = 0;

for (const kind of KINDS) {
  for (const mutant of await mutantsOf(kind)) {
    if (!isWanted(kind, mutant) || stop.aborted) continue;
    const missing = lacking(mutant.needs ?? []);
    if (missing.length > 0) {
      skipped += 1;
      console.log(`skipped  ${kind}:${mutant.name} needs ${missing.join(', ')}`);
      continue;
    }
    count += 1;
    const verdict = await runMutant({ kind, name: mutant.name }, stop);
    if (verdict.type === 'killed') killed += 1;
    console.log(describe({ kind, mutant, verdict }));
  }
}
if (wanted.length === 0) for (const kind of KINDS) console.log(await table(kind));
if (skipped > 0) console.log(`\n${skipped} skipped`);
console.log(`\n${count} mutants, ${killed} killed`);
process.exitCode = killed === count && !stop.aborted ? 0 : 1;

function isWanted(kind: Kind, { name }: Mutant): boolean {
  return wanted.length === 0 || wanted.some((part) => `${kind}:${name}`.includes(part));
}

function describe({
  kind,
  mutant,
  verdict,
}: {
  readonly kind: Kind;
  readonly mutant: Mutant;
  readonly verdict: Verdict;
}): string {
  const head = `${kind}:${mutant.name} breaks: ${mutant.promise}`;
  if (verdict.type === 'survived') return `SURVIVED ${head}\n    ${verdict.tests} tests passed`;
  const end = `"${verdict.test}"\n    ${verdict.message.split('\n').slice(0, 4).join('\n    ')}`;
  if (verdict.type === 'killed') return `killed   ${head}\n    by ${end}`;
  return `SURVIVED ${head}\n    failed for another reason: ${end}`;
}

/** Every promise of a kind of backend, and what proves that it is tested. */
async function table(kind: Kind): Promise<string> {
  const rows = [...mutantsByPromise(PROMISES[kind], await mutantsOf(kind))].map(
    ([promise, names]) => `${promise}\n    ${names.join(', ') || 'NOTHING'}`,
  );
  return `\nThe promises of a ${kind}, and the mutants that break them:\n\n${rows.join('\n')}`;
}
