import { describe, expect, it } from 'vitest';
import { mutantTests } from './mutant-tests.ts';
import { mutantsByPromise, storeMutants } from './stores/index.ts';

describe('the promises of a store', () => {
  it('have each a mutant', () => {
    const untested = [...mutantsByPromise()].filter(([, mutants]) => mutants.length === 0);
    expect(untested).toEqual([]);
  });
});

mutantTests('store', storeMutants);
