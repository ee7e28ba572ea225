import { fetcherPromises, storePromises } from '@snapstep/core/conformance';
import type { Mutant } from './mutant.ts';

export const KINDS = ['store', 'sandbox', 'fetcher'] as const;
export type Kind = (typeof KINDS)[number];

/** Every promise of these has a mutant. */
export const PROMISES = { store: storePromises, fetcher: fetcherPromises } as const;

/** Only the mutants of one kind are loaded. */
export async function mutantsOf(kind: Kind): Promise<readonly Mutant[]> {
  if (kind === 'store') return (await import('./stores/index.ts')).storeMutants;
  if (kind === 'fetcher') return (await import('./fetchers/index.ts')).fetcherMutants;
  return (await import('./sandboxes/index.ts')).sandboxMutants;
}
