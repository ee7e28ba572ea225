import { type Builder, err, ok, type Result, toCacheId } from '@snapstep/core';
import { Command } from 'commander';
import { perform } from '../action.ts';
import { storeFailure } from '../build-failure.ts';
import { type Failure, usageFailure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { writeOut } from '../output.ts';
import { withBuilder } from '../with-builder.ts';
import { withEach } from '../with-each.ts';
import { define } from './define.ts';

export function cacheCommand(): Command {
  const list = define('ls', {
    description: 'List the names of the cache volumes.',
    options: storeOptions(),
    examples: ['snapstep cache ls', 'snapstep cache ls --store btrfs:/data/snapstep'],
  }).action((options: StoreOptions) => perform(() => withBuilder(options, listCaches)));
  const remove = define('rm', {
    description: 'Delete cache volumes. The steps that used them stay saved.',
    arguments: [['<ID...>', 'names, as the spec gives them']],
    options: storeOptions(),
    examples: ['snapstep cache rm apt', 'snapstep cache rm npm cargo'],
  }).action((names: readonly string[], options: StoreOptions) =>
    perform((signal) => withBuilder(options, (builder) => removeCaches(builder, { names, signal }))),
  );
  return new Command('cache')
    .description('List or delete cache volumes, which outlive builds.')
    .addCommand(list)
    .addCommand(remove)
    .addHelpText('after', '\nExamples:\n  snapstep cache ls\n  snapstep cache rm apt\n');
}

async function listCaches(builder: Builder): Promise<Result<void, Failure>> {
  const caches = await builder.caches.list();
  if (caches.isErr()) return err(storeFailure(caches.error));
  await writeOut(caches.value.map((id) => `${id}\n`).join(''));
  return ok();
}

/** All names are looked up before the first is deleted, so that a misspelt one changes nothing. */
async function removeCaches(
  builder: Builder,
  { names, signal }: { readonly names: readonly string[]; readonly signal: AbortSignal },
): Promise<Result<void, Failure>> {
  const caches = await builder.caches.list();
  if (caches.isErr()) return err(storeFailure(caches.error));
  const unknown = names.find((name) => !caches.value.includes(toCacheId(name)));
  if (unknown !== undefined) return err(usageFailure(`there is no cache "${unknown}"`));
  return withEach(names, (name) => builder.caches.remove(toCacheId(name)).mapErr(storeFailure), signal);
}
