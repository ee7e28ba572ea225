import { open } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { type BaseImages, err, ok, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../../action.ts';
import { storeFailure } from '../../build-failure.ts';
import { type Failure, usageFailure } from '../../failure.ts';
import { type StoreOptions, storeOptions } from '../../options.ts';
import { writeOut } from '../../output.ts';
import { define } from '../define.ts';
import { withBaseImages } from './with-base-images.ts';

export function importImageCommand(): Command {
  return define('import', {
    description:
      'Read a base image that base-image export wrote. Prints the digest, which is the one it was exported with. A ' +
      'stream that ends early changes nothing.',
    arguments: [
      ['<NAME>', 'what (from NAME) finds here'],
      ['[FILE]', 'a file; - is standard input, as is no file'],
    ],
    options: storeOptions(),
    examples: [
      'snapstep base-image import macos-ocaml macos-ocaml.image',
      'ssh other snapstep base-image export macos-ocaml | snapstep base-image import macos-ocaml',
    ],
  }).action((name: string, file: string | undefined, options: StoreOptions) =>
    perform(async (signal) => {
      const body = await openInput(file ?? '-');
      if (body.isErr()) return err(body.error);
      return withBaseImages(options, (images) => receive(images, { name, body: body.value, signal }));
    }),
  );
}

async function receive(
  images: BaseImages,
  work: {
    readonly name: string;
    readonly body: ReadableStream<Uint8Array>;
    readonly signal: AbortSignal;
  },
): Promise<Result<void, Failure>> {
  const image = await images.receive(work.name, work.body, work.signal);
  if (image.isErr()) return err(storeFailure(image.error));
  await writeOut(`${image.value.digest}\n`);
  return ok();
}

async function openInput(file: string): Promise<Result<ReadableStream<Uint8Array>, Failure>> {
  if (file === '-') {
    if (process.stdin.isTTY)
      return err(usageFailure('an image cannot be typed: redirect it, or name a file'));
    return ok(Readable.toWeb(process.stdin) as ReadableStream<Uint8Array>);
  }
  try {
    const handle = await open(file);
    return ok(Readable.toWeb(handle.createReadStream()) as ReadableStream<Uint8Array>);
  } catch (error) {
    return err(usageFailure(`cannot read ${file}: ${error instanceof Error ? error.message : error}`));
  }
}
