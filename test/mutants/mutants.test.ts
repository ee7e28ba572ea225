import { inspect } from 'node:util';
import { needs } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { KINDS, mutantsOf } from './mutants.ts';
import { runMutant } from './run-mutants.ts';
import { mutantsByPromise } from './stores/index.ts';

describe('the promises of a store', () => {
  it('have each a mutant', () => {
    const untested = [...mutantsByPromise()].filter(([, mutants]) => mutants.length === 0);
    expect(untested).toEqual([]);
  });
});

for (const kind of KINDS) {
  const mutants = await mutantsOf(kind);
  describe(`a ${kind} that breaks a promise fails the suite`, () => {
    it('has a name for each mutant', () => {
      expect(new Set(mutants.map(({ name }) => name)).size).toBe(mutants.length);
    });
    for (const { name, promise, needs: what = [] } of mutants) {
      needs(...what)(name, () => {
        it(promise, { timeout: 600_000 }, async () => {
          const verdict = await runMutant({ kind, name });
          expect(verdict.type, inspect(verdict)).toBe('killed');
        });
      });
    }
  });
}
