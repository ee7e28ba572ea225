import type { Result, StoreError } from '@snapstep/core/backend';

/** Copies one directory with all that is in it. The target must not exist; what a failure leaves is the caller's. */
export type CopyTree = (
  from: string,
  to: string,
  options: { readonly signal?: AbortSignal },
) => Promise<Result<void, StoreError>>;
