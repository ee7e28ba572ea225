import { inspect } from 'node:util';
import type { Result } from 'neverthrow';

/** The value of a success; a failure fails the test and is shown whole. */
export function expectOk<T, E>(result: Result<T, E>): T {
  if (result.isErr()) throw new Error(`expected a success, got ${inspect(result.error, { depth: 6 })}`);
  return result.value;
}

/** The error of a failure; a success fails the test. */
export function expectErr<T, E>(result: Result<T, E>): E {
  if (result.isOk()) throw new Error(`expected a failure, got ${inspect(result.value, { depth: 2 })}`);
  return result.error;
}
