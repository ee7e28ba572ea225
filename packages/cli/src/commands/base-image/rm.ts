import { type BaseImages, err, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../../action.ts';
import { storeFailure } from '../../build-failure.ts';
import { type Failure, usageFailure } from '../../failure.ts';
import { type StoreOptions, storeOptions } from '../../options.ts';
import { withEach } from '../../with-each.ts';
import { define } from '../define.ts';
import { withBaseImages } from './with-base-images.ts';

export function removeImagesCommand(): Command {
  return define('rm', {
    description: 'Delete base images. One that a saved step was made from stays until that step is deleted.',
    arguments: [['<NAME...>', 'names, as base-image ls gives them']],
    options: storeOptions(),
    examples: [
      'snapstep base-image rm macos-ocaml',
      'snapstep base-image rm old older --store zfs:tank/snapstep',
    ],
  }).action((names: readonly string[], options: StoreOptions) =>
    perform((signal) => withBaseImages(options, (images) => remove(images, { names, signal }))),
  );
}

/** All names are looked up before the first is deleted, so that a misspelt one changes nothing. */
async function remove(
  images: BaseImages,
  { names, signal }: { readonly names: readonly string[]; readonly signal: AbortSignal },
): Promise<Result<void, Failure>> {
  const listed = await images.list();
  if (listed.isErr()) return err(storeFailure(listed.error));
  const unknown = names.find((name) => !listed.value.some((image) => image.name === name));
  if (unknown !== undefined) return err(usageFailure(`there is no base image "${unknown}"`));
  return withEach(names, (name) => images.remove(name).mapErr(storeFailure), signal);
}
