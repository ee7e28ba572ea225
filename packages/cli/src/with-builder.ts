import { type Builder, err, type Result } from '@snapstep/core';
import type { Failure } from './failure.ts';
import type { OpenOptions } from './open-builder.ts';

/** Opens a builder for one piece of work, and closes it afterwards. */
export async function withBuilder<T>(
  options: OpenOptions,
  work: (builder: Builder) => Promise<Result<T, Failure>>,
): Promise<Result<T, Failure>> {
  // Help, checks and conversions start faster without the stores and the sandbox.
  const { openFromOptions } = await import('./open-builder.ts');
  const open = await openFromOptions(options);
  if (open.isErr()) return err(open.error);
  await using opened = open.value;
  return await work(opened.builder);
}
