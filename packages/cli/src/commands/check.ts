import { err, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import type { Failure } from '../failure.ts';
import { fileOption } from '../options.ts';
import { readSpec } from '../spec-source.ts';
import { withEach } from '../with-each.ts';
import { define } from './define.ts';
import { filesOf } from './file-argument.ts';

export function checkCommand(): Command {
  return define('check', {
    description:
      'Check specs without building anything. Says what is wrong with each; prints nothing if all is well.',
    arguments: [['[FILE...]', 'the specs']],
    options: [fileOption()],
    examples: [
      'snapstep check -f build.spec',
      'snapstep check *.spec',
      'generate-spec | snapstep check -f -',
    ],
  }).action((files: readonly string[], options: { readonly file?: string }) =>
    perform((signal) => check(files, { file: options.file, signal })),
  );
}

async function check(
  files: readonly string[],
  { file, signal }: { readonly file: string | undefined; readonly signal: AbortSignal },
): Promise<Result<void, Failure>> {
  const names = filesOf(files, file);
  if (names.isErr()) return err(names.error);
  return withEach(names.value, async (name) => (await readSpec(name)).map(() => undefined), signal);
}
