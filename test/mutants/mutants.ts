import { fetcherPromises, sandboxPromises, storePromises } from '@snapstep/core/conformance';
import type { Mutant } from './mutant.ts';

export const KINDS = ['store', 'sandbox', 'fetcher'] as const;
export type Kind = (typeof KINDS)[number];

/** Every promise has a mutant. */
export const PROMISES = {
  store: storePromises,
  sandbox: sandboxPromises,
  fetcher: fetcherPromises,
} as const satisfies Record<Kind, object>;

/** Only the mutants of one kind are loaded. */
export async function mutantsOf(kind: Kind): Promise<readonly Mutant[]> {
  if (kind === 'store') return (await import('./stores/index.ts')).storeMutants;
  if (kind === 'fetcher') return (await import('./fetchers/index.ts')).fetcherMutants;
  return (await import('./sandboxes/index.ts')).sandboxMutants;
}
