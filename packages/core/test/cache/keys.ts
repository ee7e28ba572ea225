import { type StepKey, toStepKey } from '../../src/index.ts';

/** A key that is easy to tell from others. */
export function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}
