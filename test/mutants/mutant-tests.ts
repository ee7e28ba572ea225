import { inspect } from 'node:util';
import { needs } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { mutantsByPromise } from './by-promise.ts';
import type { Mutant } from './mutant.ts';
import { type Kind, PROMISES } from './mutants.ts';
import { runMutant } from './run-mutants.ts';

/**
 * One mutant of each promise is a test; `npm run test:mutants` judges all. The kinds are in several files, since files run at
 * the same time.
 */
export function mutantTests(kind: Kind, mutants: readonly Mutant[]): void {
  describe(`a ${kind} that breaks a promise fails the suite`, () => {
    it('has a name for each mutant', () => {
      expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    });
    it('has a mutant for each promise', () => {
      const promises = mutantsByPromise(PROMISES[kind], mutants);
      expect([...promises].filter(([, names]) => names.length === 0)).toEqual([]);
    });
    for (const { name, promise, needs: what = [] } of firstOfEachPromise(mutants)) {
      needs(...what)(name, () => {
        it(promise, { timeout: 600_000 }, async () => {
          const verdict = await runMutant({ kind, name });
          expect(verdict.type, inspect(verdict)).toBe('killed');
        });
      });
    }
  });
}

function firstOfEachPromise(mutants: readonly Mutant[]): Iterable<Mutant> {
  return new Map(mutants.toReversed().map((mutant) => [mutant.promise, mutant])).values();
}
