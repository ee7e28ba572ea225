import { type Builder, type Difference, type Explanation, err, ok, type Result } from '@snapstep/core';
import type { Command } from 'commander';
import { perform } from '../action.ts';
import { storeFailure } from '../build-failure.ts';
import type { Failure } from '../failure.ts';
import { type StoreOptions, storeOptions } from '../options.ts';
import { writeOut } from '../output.ts';
import { toJson } from '../progress/sanitize.ts';
import { resolveKey } from '../step-keys.ts';
import { withBuilder } from '../with-builder.ts';
import { define } from './define.ts';
import { jsonOption } from './table.ts';

type Options = StoreOptions & { readonly json?: boolean };

export function explainCommand(): Command {
  return define('explain', {
    description: 'Show what a key was made of, and how that differs from the most similar saved step.',
    arguments: [['<KEY>', 'a step key, or its first 8 digits or more; also of a step that failed']],
    options: [jsonOption(), ...storeOptions()],
    examples: ['snapstep explain 3f9a02c41be7', 'snapstep explain --json 3f9a02c41be7 | jq .nearest'],
  }).action((text: string, options: Options) =>
    perform(() => withBuilder(options, (builder) => explain(builder, { text, options }))),
  );
}

async function explain(
  builder: Builder,
  { text, options }: { readonly text: string; readonly options: Options },
): Promise<Result<void, Failure>> {
  const key = await resolveKey(builder, text, 'known');
  if (key.isErr()) return err(key.error);
  const explanation = await builder.explain(key.value);
  if (explanation.isErr()) return err(storeFailure(explanation.error));
  const { value } = explanation;
  await writeOut(options.json ? `${toJson(value)}\n` : describeExplanation(value));
  return ok();
}

/** What a key was made of, for people. */
export function describeExplanation({ key, inputs, nearest }: Explanation): string {
  const lines = [`key ${key}`, 'made of:', toJson(inputs, { indent: 2 })];
  if (nearest === undefined) lines.push('no saved step is similar');
  else
    lines.push(`the most similar saved step is ${nearest.key}`, ...nearest.differences.flatMap(difference));
  return `${lines.join('\n')}\n`;
}

function difference({ path, was, is }: Difference): string[] {
  return [`  ${path}`, ...side('-', was), ...side('+', is)];
}

/** JSON escapes control characters, so that no value can move the cursor. */
function side(sign: '-' | '+', value: unknown): string[] {
  return value === undefined ? [] : [`    ${sign} ${toJson(value)}`];
}
