import { type Builder, err, isStepKey, ok, type Result, type StepKey, type StoreError } from '@snapstep/core';
import { storeFailure } from './build-failure.ts';
import { type Failure, usageFailure } from './failure.ts';

const SHORTEST = 8;
/** How many digits are shown of keys that a text may mean, beyond what they have in common. */
const SHOWN = 4;

/** Which steps a text may mean: those that are saved, or also those that run or failed. */
export type Among = 'saved' | 'known';

/** The step that the user means: a whole key, whether it is there or not, or the beginning of one key. */
export async function resolveKey(
  builder: Builder,
  text: string,
  among: Among,
): Promise<Result<StepKey, Failure>> {
  if (isStepKey(text)) return ok(text);
  if (!/^[0-9a-f]+$/.test(text) || text.length > 64) {
    return err(usageFailure(`"${text}" is not a step key (hex digits, as "snapstep ls" shows them)`));
  }
  if (text.length < SHORTEST) {
    return err(usageFailure(`"${text}" is too short: give at least ${SHORTEST} digits of the key`));
  }
  const keys = among === 'known' ? await builder.keys(text) : await savedKeys(builder);
  if (keys.isErr()) return err(storeFailure(keys.error));
  const matches = keys.value.filter((key) => key.startsWith(text));
  const [match, ...more] = matches;
  if (match === undefined) {
    const step = among === 'known' ? 'step' : 'saved step';
    return err(usageFailure(`no ${step} has a key that starts with "${text}"`));
  }
  return more.length === 0 ? ok(match) : err(ambiguous(text, matches));
}

async function savedKeys(builder: Builder): Promise<Result<readonly StepKey[], StoreError>> {
  return (await builder.list()).map((steps) => steps.map(({ key }) => key));
}

function ambiguous(text: string, keys: readonly StepKey[]): Failure {
  const [first = '', last = ''] = [keys.at(0), keys.at(-1)];
  // Keys in order have at least that much in common which the first and the last have.
  let common = text.length;
  while (first[common] === last[common]) common += 1;
  const shown = keys.map((key) => key.slice(0, common + SHOWN)).slice(0, 10);
  const rest = keys.length > shown.length ? ', ...' : '';
  return usageFailure(
    `"${text}" is the beginning of ${keys.length} keys: give more digits (${shown.join(', ')}${rest})`,
  );
}
