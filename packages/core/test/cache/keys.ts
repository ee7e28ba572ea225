import type { IndexDb } from '../../src/cache/index-db.ts';
import { type StepKey, toStepKey } from '../../src/index.ts';

/** A key that is easy to tell from others. */
export function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}

/** Begins and saves a step without a parent. */
export function save(index: IndexDb, number: number): void {
  index.begin(key(number), { parent: undefined, op: 'run', title: 'run' });
  index.saved(key(number), 1);
}
