import { type BaseImages, err, ok, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../../action.ts';
import { storeFailure } from '../../build-failure.ts';
import type { Failure } from '../../failure.ts';
import { type StoreOptions, storeOptions } from '../../options.ts';
import { writeOut } from '../../output.ts';
import { toJson } from '../../progress/sanitize.ts';
import { define } from '../define.ts';
import { jsonOption, table } from '../table.ts';
import { withBaseImages } from './with-base-images.ts';

type Options = StoreOptions & { readonly json?: boolean };

export function listImagesCommand(): Command {
  return define('ls', {
    description: 'List the base images that the store holds, with the digests that go into keys.',
    options: [jsonOption(), ...storeOptions()],
    examples: ['snapstep base-image ls', 'snapstep base-image ls --json | jq -r .digest'],
  }).action((options: Options) => perform(() => withBaseImages(options, (images) => list(images, options))));
}

async function list(images: BaseImages, { json }: Options): Promise<Result<void, Failure>> {
  const listed = await images.list();
  if (listed.isErr()) return err(storeFailure(listed.error));
  const sorted = listed.value.toSorted((a, b) => (a.name < b.name ? -1 : 1));
  const rows = sorted.map(({ name, platform, digest }) => [name, platform, digest]);
  const lines = sorted.map((image) => `${toJson(image)}\n`).join('');
  await writeOut(json ? lines : table([['NAME', 'PLATFORM', 'DIGEST'], ...rows]));
  return ok();
}
