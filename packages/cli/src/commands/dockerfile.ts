import { err, ok, type Result, toDockerfile } from '@snapstep/core';
import { type Command, Option } from 'commander';
import { perform } from '../action.ts';
import type { Failure } from '../failure.ts';
import { fileOption } from '../options.ts';
import { writeData, writeErr } from '../output.ts';
import { readSpec } from '../spec-source.ts';
import { define } from './define.ts';

interface Options {
  readonly file: string;
  readonly buildkit?: boolean;
  readonly escape: '\\' | '`';
}

export function dockerfileCommand(): Command {
  return define('dockerfile', {
    description: 'Print a spec as a Dockerfile. What a Dockerfile cannot say is listed on standard error.',
    options: [
      fileOption().makeOptionMandatory(),
      new Option(
        '--buildkit',
        'use what only BuildKit understands: caches, secrets, networks, here-documents',
      ),
      new Option('--escape <CHARACTER>', 'the escape character').choices(['\\', '`']).default('\\'),
    ],
    examples: [
      'snapstep dockerfile -f build.spec > Dockerfile',
      'snapstep dockerfile -f build.spec --buildkit',
    ],
  }).action((options: Options) => perform(() => convert(options)));
}

async function convert(options: Options): Promise<Result<void, Failure>> {
  const source = await readSpec(options.file);
  if (source.isErr()) return err(source.error);
  const { text, lost } = toDockerfile(source.value.spec, {
    buildkit: options.buildkit ?? false,
    escape: options.escape,
  });
  await writeErr(lost.map((item) => `lost: ${item}\n`).join(''));
  await writeData(text);
  return ok();
}
