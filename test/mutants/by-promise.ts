import type { Mutant } from './mutant.ts';

/** What is common to all mutants of a kind of backend. */
export interface Breakage<Promises> {
  readonly name: string;
  /** The promise that it breaks. */
  readonly breaks: keyof Promises;
  /** Others that may be seen to be broken first. */
  readonly also?: readonly (keyof Promises)[];
  /** Parts of the titles of the tests that should kill it. */
  readonly first: readonly [string, ...string[]];
}

/** All of a mutant but its suite. */
export function said<Promises extends Readonly<Record<string, string>>>(
  promises: Promises,
  { name, breaks, also = [], first }: Breakage<Promises>,
): Pick<Mutant, 'name' | 'promise' | 'killedBy' | 'first'> {
  const sentence = (key: keyof Promises) => promises[key] ?? '';
  return { name, promise: sentence(breaks), killedBy: dueTo(...[breaks, ...also].map(sentence)), first };
}

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
