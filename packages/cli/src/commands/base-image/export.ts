import { createWriteStream } from 'node:fs';
import { pipeline } from 'node:stream/promises';
import { type BaseImages, err, ok, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../../action.ts';
import { storeFailure } from '../../build-failure.ts';
import { type Failure, machineFailure, usageFailure } from '../../failure.ts';
import { type StoreOptions, storeOptions } from '../../options.ts';
import { writeBytes } from '../../output.ts';
import { viaPartial } from '../../via-partial.ts';
import { define } from '../define.ts';
import { withBaseImages } from './with-base-images.ts';

export function exportImageCommand(): Command {
  return define('export', {
    description: 'Write a base image as a stream that base-image import reads on another machine.',
    arguments: [
      ['<NAME>', 'as base-image ls gives it'],
      ['[FILE]', 'a file, which has its name when it is whole; - is standard output, as is no file'],
    ],
    options: storeOptions(),
    examples: [
      'snapstep base-image export macos-ocaml macos-ocaml.image',
      'snapstep base-image export macos-ocaml | ssh other snapstep base-image import macos-ocaml',
    ],
  }).action((name: string, file: string | undefined, options: StoreOptions) =>
    perform((signal) =>
      withBaseImages(options, (images) => exportImage(images, { name, file: file ?? '-', signal })),
    ),
  );
}

interface Work {
  readonly name: string;
  readonly file: string;
  readonly signal: AbortSignal;
}

async function exportImage(images: BaseImages, work: Work): Promise<Result<void, Failure>> {
  const { name, file, signal } = work;
  if (file === '-' && process.stdout.isTTY) {
    return err(usageFailure('an image is nothing for a terminal: redirect it, or name a file'));
  }
  const listed = await images.list();
  if (listed.isErr()) return err(storeFailure(listed.error));
  if (!listed.value.some((image) => image.name === name)) {
    return err(usageFailure(`there is no base image "${name}"`));
  }
  const sent = await images.send(name, signal);
  if (sent.isErr()) return err(storeFailure(sent.error));
  if (file === '-') return toStdout(sent.value, signal);
  return viaPartial(file, (partial) => toFile(sent.value, { partial, signal }));
}

async function toStdout(
  body: ReadableStream<Uint8Array>,
  signal: AbortSignal,
): Promise<Result<void, Failure>> {
  try {
    for await (const chunk of body) {
      if (signal.aborted) break;
      await writeBytes(chunk);
    }
  } catch (error) {
    return err(sendFailure(error));
  }
  return ok();
}

async function toFile(
  body: ReadableStream<Uint8Array>,
  { partial, signal }: { readonly partial: string; readonly signal: AbortSignal },
): Promise<Result<void, Failure>> {
  try {
    await pipeline(body, createWriteStream(partial), { signal });
    return ok();
  } catch (error) {
    return err(sendFailure(error));
  }
}

function sendFailure(error: unknown): Failure {
  return machineFailure(`the image cannot be written: ${error instanceof Error ? error.message : error}`);
}
