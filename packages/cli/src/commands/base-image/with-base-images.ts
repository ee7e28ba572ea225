import { type BaseImages, err, type Result } from '@snapstep/core';
import { type Failure, usageFailure } from '../../failure.ts';
import type { OpenOptions } from '../../open-builder.ts';
import { withBuilder } from '../../with-builder.ts';

/** Opens a builder for one piece of work on the base images of its store. */
export function withBaseImages<T>(
  options: OpenOptions,
  work: (images: BaseImages) => Promise<Result<T, Failure>>,
): Promise<Result<T, Failure>> {
  return withBuilder(options, async (builder) => {
    if (builder.baseImages) return work(builder.baseImages);
    return err(usageFailure('this store holds no base images of its own: use --store zfs:POOL/DATASET'));
  });
}
