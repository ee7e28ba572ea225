import { fetcherPromises } from '@snapstep/core/conformance';
import { dueTo } from '../by-promise.ts';
import type { Mutant } from '../mutant.ts';
import type { Change } from './healthy-place.ts';

/** How a healthy fetcher is broken. */
export interface FetcherBreakage extends Pick<Mutant, 'name'> {
  readonly breaks: keyof typeof fetcherPromises;
  /** What may be seen first. */
  readonly also?: readonly (keyof typeof fetcherPromises)[];
  readonly first: readonly [string, ...string[]];
  readonly change: Change;
}

/** All but the suite of a mutant. */
export function said({
  name,
  breaks,
  also = [],
  first,
}: Omit<FetcherBreakage, 'change'>): Pick<Mutant, 'name' | 'promise' | 'killedBy' | 'first'> {
  const seen = [breaks, ...also].map((promise) => fetcherPromises[promise]);
  return { name, promise: fetcherPromises[breaks], killedBy: dueTo(...seen), first };
}
