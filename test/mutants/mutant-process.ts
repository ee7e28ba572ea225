// Judges the mutant named by the arguments, and sends the verdict to the process that started this one.
import { judge, type Verdict } from './mutant.ts';
import { type Kind, mutantsOf } from './mutants.ts';

const [kind, name] = process.argv.slice(2);
for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
  process.on(event, (error) => answer({ type: 'failed-otherwise', test: event, message: String(error) }));
}
const mutant = (await mutantsOf(kind as Kind)).find((candidate) => candidate.name === name);
if (mutant === undefined) throw new Error(`there is no mutant ${kind} ${name}`);
answer(await judge(mutant));

/** What a mutant left running must not keep the process. */
function answer(verdict: Verdict): void {
  process.send?.(verdict, () => process.exit(0));
}
