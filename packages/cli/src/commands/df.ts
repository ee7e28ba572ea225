import { type Builder, type BuilderUsageAxis, err, ok, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import { storeFailure } from '../build-failure.ts';
import type { Failure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { writeOut } from '../output.ts';
import { formatSize } from '../progress/format.ts';
import { toJson } from '../progress/sanitize.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';
import { jsonOption, table } from './table.ts';

type Options = StoreOptions & { readonly json?: boolean };

export function dfCommand(): Command {
  return define('df', {
    description: 'Show what the store uses of everything that can run out, and what logs take.',
    options: [jsonOption(), ...storeOptions()],
    examples: ['snapstep df', 'snapstep df --json'],
  }).action((options: Options) => perform(() => withBuilder(options, (builder) => usage(builder, options))));
}

async function usage(builder: Builder, options: Options): Promise<Result<void, Failure>> {
  const axes = await builder.usage();
  if (axes.isErr()) return err(storeFailure(axes.error));
  const lines = axes.value.map((axis) => `${toJson(axis)}\n`).join('');
  await writeOut(options.json ? lines : table([['WHAT', 'USED', 'TOTAL', 'SHARE'], ...axes.value.map(row)]));
  return ok();
}

function row({ axis, used, total }: BuilderUsageAxis): string[] {
  const show = axis.endsWith('bytes') ? formatSize : String;
  if (total === undefined) return [axis, show(used)];
  return [axis, show(used), show(total), total === 0 ? '' : `${Math.round((used / total) * 100)}%`];
}
