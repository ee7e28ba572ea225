import type { Mutant } from './mutant.ts';

/** What a test that sees one of these promises broken says after `broken promise: `. */
export function dueTo(...promises: readonly string[]): RegExp {
  const alternatives = promises.map((promise) => promise.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^(${alternatives.join('|')})(\n|$)`);
}

/** The names of the mutants of each promise. */
export function mutantsByPromise(
  promises: Readonly<Record<string, string>>,
  mutants: readonly Mutant[],
): ReadonlyMap<string, readonly string[]> {
  return new Map(
    Object.values(promises).map((promise) => [
      promise,
      mutants.filter((mutant) => mutant.promise === promise).map(({ name }) => name),
    ]),
  );
}
