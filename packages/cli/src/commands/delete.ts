import { type Builder, err, ok, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import { storeFailure } from '../build-failure.ts';
import type { Failure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { writeErr, writeOut } from '../output.ts';
import { resolveKey } from '../step-keys.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';

export function deleteCommand(): Command {
  return define('delete', {
    description: 'Delete a step and all that was built on it. Prints the keys that are gone.',
    arguments: [['<KEY>', 'a step key, or its first 8 digits or more']],
    options: storeOptions(),
    examples: ['snapstep delete 3f9a02c41be7', 'snapstep delete --store btrfs:/data/snapstep 3f9a02c41be7'],
  }).action((text: string, options: StoreOptions) =>
    perform((signal) => withBuilder(options, (builder) => remove(builder, { text, signal }))),
  );
}

async function remove(
  builder: Builder,
  { text, signal }: { readonly text: string; readonly signal: AbortSignal },
): Promise<Result<void, Failure>> {
  const key = await resolveKey(builder, text, 'saved');
  if (key.isErr()) return err(key.error);
  const removed = await builder.remove(key.value, signal);
  if (removed.isErr()) return err(storeFailure(removed.error));
  await writeOut(removed.value.removed.map((gone) => `${gone}\n`).join(''));
  await writeErr(`${removed.value.removed.length} deleted\n`);
  return ok();
}
