import type { Mutant } from './mutant.ts';

export const KINDS = ['store', 'sandbox'] as const;
export type Kind = (typeof KINDS)[number];

/** Only the mutants of one kind are loaded. */
export async function mutantsOf(kind: Kind): Promise<readonly Mutant[]> {
  if (kind === 'store') return (await import('./stores/index.ts')).storeMutants;
  return (await import('./sandboxes/index.ts')).sandboxMutants;
}
