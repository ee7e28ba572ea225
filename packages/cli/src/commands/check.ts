import { err, ok, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import type { Failure } from '../failure.ts';
import { fileOption } from '../options.ts';
import { readSpec } from '../spec-source.ts';
import { define } from './define.ts';
import { filesOf } from './file-argument.ts';

export function checkCommand(): Command {
  return define('check', {
    description: 'Check specs without building anything. Prints nothing if all is well.',
    arguments: [['[FILE...]', 'the specs']],
    options: [fileOption()],
    examples: [
      'snapstep check -f build.spec',
      'snapstep check *.spec',
      'generate-spec | snapstep check -f -',
    ],
  }).action((files: readonly string[], options: { readonly file?: string }) =>
    perform(() => check(files, options.file)),
  );
}

async function check(files: readonly string[], file: string | undefined): Promise<Result<void, Failure>> {
  const names = filesOf(files, file);
  if (names.isErr()) return err(names.error);
  for (const name of names.value) {
    const source = await readSpec(name);
    if (source.isErr()) return err(source.error);
  }
  return ok();
}
