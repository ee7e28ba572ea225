import type { fetcherPromises } from '@snapstep/core/conformance';
import type { Breakage } from '../by-promise.ts';
import type { Change } from './healthy-place.ts';

/** How a healthy fetcher is broken. */
export interface FetcherBreakage extends Breakage<typeof fetcherPromises> {
  readonly change: Change;
}
