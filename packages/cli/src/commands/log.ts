import { type Builder, err, ok, type Result } from '@snapstep/core';
import { type Command, Option } from 'commander';
import { perform } from '../action.ts';
import { storeFailure } from '../build-failure.ts';
import { type Failure, machineFailure, usageFailure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { writeBytes, writeOut } from '../output.ts';
import { parseOffset } from '../parse-values.ts';
import { shownLines } from '../progress/shown-lines.ts';
import { resolveKey } from '../step-keys.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';

type Options = StoreOptions & { readonly from?: number };

export function logCommand(): Command {
  return define('log', {
    description:
      'Print what a step printed, as it was kept, also that of a step that failed; to a terminal without control characters.',
    arguments: [['<KEY>', 'a step key, or its first 8 digits or more; also of a step that failed']],
    options: [
      new Option('--from <BYTES>', 'leave out so many bytes at the beginning').argParser(parseOffset),
      ...storeOptions(),
    ],
    examples: ['snapstep log 3f9a02c41be7', 'snapstep log --from 100000 3f9a02c41be7 | less'],
  }).action((text: string, options: Options) =>
    perform((signal) => withBuilder(options, (builder) => print(builder, { text, options, signal }))),
  );
}

interface LogWork {
  readonly text: string;
  readonly options: Options;
  readonly signal: AbortSignal;
}

async function print(builder: Builder, { text, options, signal }: LogWork): Promise<Result<void, Failure>> {
  const key = await resolveKey(builder, text, 'known');
  if (key.isErr()) return err(key.error);
  const log = await builder.log(key.value);
  if (log.isErr()) return err(storeFailure(log.error));
  if (log.value === undefined) return err(usageFailure(`there is no log of the step ${key.value}`));
  const shown = process.stdout.isTTY ? shownLines(writeOut) : { write: writeBytes, end: async () => {} };
  try {
    for await (const chunk of log.value.follow({ from: options.from ?? 0 })) {
      if (signal.aborted) break;
      await shown.write(chunk);
    }
    await shown.end();
    return ok();
  } catch (error) {
    return err(machineFailure(`the log of ${key.value} cannot be read: ${(error as Error).message}`));
  }
}
