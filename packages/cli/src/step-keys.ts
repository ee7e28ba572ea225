import { type Builder, err, isStepKey, ok, type Result, type StepKey } from '@snapstep/core';
import { storeFailure } from './build-failure.ts';
import { type Failure, usageFailure } from './failure.ts';

const SHORTEST = 8;

/**
 * The step that the user means: a whole key, saved or not, or the beginning of the key of one saved step.
 */
export async function resolveKey(builder: Builder, text: string): Promise<Result<StepKey, Failure>> {
  if (isStepKey(text)) return ok(text);
  if (!/^[0-9a-f]+$/.test(text) || text.length > 64) {
    return err(usageFailure(`"${text}" is not a step key (hex digits, as "snapstep ls" shows them)`));
  }
  if (text.length < SHORTEST) {
    return err(usageFailure(`"${text}" is too short: give at least ${SHORTEST} digits of the key`));
  }
  const steps = await builder.list();
  if (steps.isErr()) return err(storeFailure(steps.error));
  const matches = steps.value.filter(({ key }) => key.startsWith(text));
  const [match] = matches;
  if (match === undefined) return err(usageFailure(`no saved step has a key that starts with "${text}"`));
  if (matches.length > 1) {
    return err(usageFailure(`"${text}" is the beginning of ${matches.length} keys: give more digits`));
  }
  return ok(match.key);
}
