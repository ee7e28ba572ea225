import { rename, rm } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { err, ok, type Result } from '@snapstep/core';
import { type Failure, usageFailure } from './failure.ts';

/**
 * Work happens under a name of its own, beside the destination, and is renamed; a failure leaves nothing.
 *
 * @param inside - What of a partial directory becomes the destination. Default: the partial itself.
 */
export async function viaPartial(
  to: string,
  make: (partial: string) => Promise<Result<void, Failure>>,
  inside: string = '.',
): Promise<Result<void, Failure>> {
  const partial = join(dirname(resolve(to)), `.${basename(resolve(to))}.${process.pid}.partial`);
  try {
    const made = await make(partial);
    if (made.isErr()) return err(made.error);
    await rename(join(partial, inside), to);
    return ok();
  } catch (error) {
    return err(usageFailure(`cannot write ${to}: ${error instanceof Error ? error.message : error}`));
  } finally {
    await rm(partial, { recursive: true, force: true });
  }
}
