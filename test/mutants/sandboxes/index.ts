import type { Mutant } from '../mutant.ts';

export const sandboxMutants: readonly Mutant[] = [];
