import { err, ok, type Result } from '@snapstep/core';
import { type Failure, usageFailure } from '../failure.ts';

/** The files of a command that takes them as arguments, or one with `-f` like `build` does. */
export function filesOf(
  files: readonly string[],
  file: string | undefined,
): Result<readonly string[], Failure> {
  const all = [...(file === undefined ? [] : [file]), ...files];
  return all.length > 0 ? ok(all) : err(usageFailure('name the spec: -f FILE, or - for standard input'));
}
