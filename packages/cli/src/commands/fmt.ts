import { stat, writeFile } from 'node:fs/promises';
import { err, ok, printSpec, type Result } from '@snapstep/core';
import { type Command, Option } from 'commander';
import { perform } from '../action.ts';
import { EXIT, type Failure, usageFailure } from '../failure.ts';
import { hasComments } from '../has-comments.ts';
import { fileOption } from '../options.ts';
import { writeErr, writeOut } from '../output.ts';
import { readSpec, type SpecSource } from '../spec-source.ts';
import { withEach } from '../with-each.ts';
import { define } from './define.ts';
import { filesOf } from './file-argument.ts';

interface Options {
  readonly file?: string;
  readonly write?: boolean;
  readonly check?: boolean;
}

export function fmtCommand(): Command {
  return define('fmt', {
    description: 'Print specs in their canonical layout.',
    arguments: [['[FILE...]', 'the specs']],
    options: [
      fileOption(),
      new Option('--write', 'write the files instead; one with ; comments, which would be lost, is refused'),
      new Option(
        '--check',
        'print only the names of files that are not canonical, and exit with 1 if there are any',
      ).conflicts('write'),
    ],
    examples: ['snapstep fmt -f build.spec', 'snapstep fmt --write *.spec', 'snapstep fmt --check *.spec'],
  }).action((files: readonly string[], options: Options) =>
    perform((signal) => format(files, { options, signal })),
  );
}

async function format(
  files: readonly string[],
  { options, signal }: { readonly options: Options; readonly signal: AbortSignal },
): Promise<Result<void, Failure>> {
  const names = filesOf(files, options.file);
  if (names.isErr()) return err(names.error);
  return withEach(names.value, (name) => formatFile(name, options), signal);
}

async function formatFile(name: string, options: Options): Promise<Result<void, Failure>> {
  const read = await readSpec(name);
  if (read.isErr()) return err(read.error);
  const source = read.value;
  const canonical = printSpec(source.spec);
  const isCanonical = canonical === source.text;
  if (options.check) {
    if (isCanonical) return ok();
    await writeOut(`${source.file}\n`);
    return err({ exitCode: EXIT.stepFailed, message: '' });
  }
  if (options.write) return isCanonical ? ok() : write(source, canonical);
  await writeOut(canonical);
  if (hasComments(source.text)) {
    await writeErr(`snapstep: ${source.file}: its ; comments are left out; (comment "...") stays\n`);
  }
  return ok();
}

async function write(source: SpecSource, canonical: string): Promise<Result<void, Failure>> {
  if (source.file === '-') return err(usageFailure('--write needs a file, not standard input'));
  if (hasComments(source.text)) {
    return err(usageFailure(`${source.file}: its ; comments would be lost: make them (comment "...") first`));
  }
  try {
    const { mode } = await stat(source.file);
    await writeFile(source.file, canonical, { mode });
    return ok();
  } catch (error) {
    return err(usageFailure(`cannot write the spec: ${error instanceof Error ? error.message : error}`));
  }
}
