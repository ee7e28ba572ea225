import { type Builder, err, ok, type Result, type SavedStep } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import { storeFailure } from '../build-failure.ts';
import type { Failure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { writeOut } from '../output.ts';
import { formatAge, formatDuration } from '../progress/format.ts';
import { toJson } from '../progress/sanitize.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';
import { jsonOption, shortKey, table } from './table.ts';

type Options = StoreOptions & { readonly json?: boolean };

export function lsCommand(): Command {
  return define('ls', {
    description: 'List the saved steps, the least recently used first.',
    options: [jsonOption(), ...storeOptions()],
    examples: ['snapstep ls', 'snapstep ls --json | jq -r .key', 'snapstep ls --store btrfs:/data/snapstep'],
  }).action((options: Options) => perform(() => withBuilder(options, (builder) => list(builder, options))));
}

async function list(builder: Builder, options: Options): Promise<Result<void, Failure>> {
  const steps = await builder.list();
  if (steps.isErr()) return err(storeFailure(steps.error));
  const lines = steps.value.map((step) => `${toJson(step)}\n`).join('');
  await writeOut(options.json ? lines : table([['KEY', 'USED', 'TOOK', 'STEP'], ...steps.value.map(row)]));
  return ok();
}

function row(step: SavedStep): string[] {
  return [shortKey(step.key), formatAge(step.usedAt), formatDuration(step.milliseconds), step.title];
}
