import {
  type BuildEvent,
  type Builder,
  type Explanation,
  err,
  ok,
  type PlannedStep,
  type Result,
  titleOf,
} from '@snapstep/core';
import { type Command, Option } from 'commander';
import { perform } from '../action.ts';
import { buildFailure, storeFailure } from '../build-failure.ts';
import type { Failure } from '../failure.ts';
import { type SpecOptions, specOptions } from '../options.ts';
import { writeErr, writeOut } from '../output.ts';
import { toJson } from '../progress/sanitize.ts';
import { withBuilder } from '../with-builder.ts';
import { readRequest } from './build.ts';
import { define } from './define.ts';
import { describeExplanation } from './explain.ts';
import { jsonOption, shortKey, table } from './table.ts';

type Options = SpecOptions & { readonly json?: boolean; readonly explain?: boolean };

export function planCommand(): Command {
  return define('plan', {
    description: 'Show the key of each step and whether it is saved, without running anything.',
    arguments: [['[CONTEXT]', 'the directory that (copy (src ...)) reads']],
    options: [
      ...specOptions(),
      new Option('--explain', 'tell for the first step to run of each stage what differs from a saved one'),
      jsonOption(),
    ],
    examples: [
      'snapstep plan -f build.spec .',
      'snapstep plan -f build.spec --explain .',
      'snapstep plan -f build.spec --json . | jq -r .key',
    ],
  }).action(async (context: string | undefined, options: Options) => {
    await perform(async (signal) => {
      const request = await readRequest(context, options);
      if (request.isErr()) return err(request.error);
      const { source, ...inputs } = request.value;
      return withBuilder(options, (builder) =>
        plan(builder, { source, request: { ...inputs, signal, onEvent: sayNote }, options }),
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
  const explained = options.explain ? await explainMisses(builder, steps.value) : ok([]);
  if (explained.isErr()) return err(explained.error);
  if (options.json) {
    await writeOut(steps.value.map((step) => jsonLine(step, explained.value)).join(''));
  } else {
    await writeOut(table(steps.value.map(row)));
    for (const explanation of explained.value) await writeOut(`\n${describeExplanation(explanation)}`);
  }
  return ok();
}

/** Why the first step of each stage that is not saved was missed: those after it differ by their parent alone. */
async function explainMisses(
  builder: Builder,
  steps: readonly PlannedStep[],
): Promise<Result<readonly Explanation[], Failure>> {
  const explanations: Explanation[] = [];
  const stages = new Set<string>();
  for (const { stage, key, saved } of steps) {
    if (saved || key === undefined || stages.has(stage)) continue;
    stages.add(stage);
    const explanation = await builder.explain(key);
    if (explanation.isErr()) return err(storeFailure(explanation.error));
    explanations.push(explanation.value);
  }
  return ok(explanations);
}

/** A plan has no other events. */
async function sayNote(event: BuildEvent): Promise<void> {
  if (event.type === 'note') await writeErr(`snapstep: ${event.text}\n`);
}

function jsonLine(step: PlannedStep, explanations: readonly Explanation[]): string {
  const explanation = explanations.find(({ key }) => key === step.key);
  return `${toJson({ ...step, title: titleOf(step.op), explanation })}\n`;
}

function row(step: PlannedStep): string[] {
  const key = step.key === undefined ? '?' : shortKey(step.key);
  return [step.stage, key, step.saved ? 'saved' : 'to run', titleOf(step.op)];
}
