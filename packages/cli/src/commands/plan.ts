import { type Builder, err, ok, type PlannedStep, type Result, titleOf } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import { buildFailure } from '../build-failure.ts';
import type { Failure } from '../failure.ts';
import { type SpecOptions, specOptions } from '../options.ts';
import { writeOut } from '../output.ts';
import { sanitizeLine } from '../progress/sanitize.ts';
import { withBuilder } from '../with-builder.ts';
import { readRequest } from './build.ts';
import { define } from './define.ts';
import { jsonOption, shortKey, table } from './table.ts';

type Options = SpecOptions & { readonly json?: boolean };

export function planCommand(): Command {
  return define('plan', {
    description: 'Show the key of each step and whether it is saved, without running anything.',
    arguments: [['[CONTEXT]', 'the directory that (copy (src ...)) reads']],
    options: [...specOptions(), jsonOption()],
    examples: ['snapstep plan -f build.spec .', 'snapstep plan -f build.spec --json . | jq -r .key'],
  }).action(async (context: string | undefined, options: Options) => {
    await perform(async (signal) => {
      const request = await readRequest(context, options);
      if (request.isErr()) return err(request.error);
      const { source, ...inputs } = request.value;
      return withBuilder(options, (builder) =>
        plan(builder, { source, request: { ...inputs, signal }, options }),
      );
    });
  });
}

interface PlanWork {
  readonly source: Parameters<typeof buildFailure>[1]['source'];
  readonly request: Parameters<Builder['plan']>[0];
  readonly options: Options;
}

async function plan(
  builder: Builder,
  { source, request, options }: PlanWork,
): Promise<Result<void, Failure>> {
  const steps = await builder.plan(request);
  if (steps.isErr()) return err(buildFailure(steps.error, { source, tailOf: () => [] }));
  await writeOut(options.json ? steps.value.map(jsonLine).join('') : table(steps.value.map(row)));
  return ok();
}

function jsonLine(step: PlannedStep): string {
  return `${JSON.stringify({ ...step, title: titleOf(step.op) })}\n`;
}

function row(step: PlannedStep): string[] {
  const key = step.key === undefined ? '?' : shortKey(step.key);
  return [step.stage, key, step.saved ? 'saved' : 'to run', sanitizeLine(titleOf(step.op))];
}
