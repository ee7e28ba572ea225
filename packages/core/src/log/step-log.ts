import type { StepKey } from '../backend/names.ts';

/**
 * What one step printed. It is kept on disk, so that a reader may come at any time and be slow:
 * each reader gets every byte from `from` on, then follows until the step ends.
 */
export interface StepLog {
  readonly key: StepKey;
  /** @param options.from - The offset in bytes of the first byte wanted. Default: 0. */
  follow(options?: { readonly from?: number; readonly signal?: AbortSignal }): AsyncIterable<Uint8Array>;
}
