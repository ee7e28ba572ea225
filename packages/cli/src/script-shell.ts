import { basename } from 'node:path';
import { err, ok, type Result } from '@snapstep/core';
import { type Failure, usageFailure } from './failure.ts';

const SHELLS = ['sh', 'bash', 'dash', 'ksh', 'zsh'];
/** Linux takes no longer argument (MAX_ARG_STRLEN of binfmts.h), and some is for what is around the script. */
const LONGEST = 100 * 1024;

/**
 * The shell that a script's first line asks for, to be given the script as `-c`; undefined if it asks for none.
 * A step's world has only its own files, so a script is given as text.
 */
export function shellOf(script: string): Result<readonly [string, ...string[]] | undefined, Failure> {
  if (Buffer.byteLength(script) > LONGEST) {
    return err(usageFailure(`the script is longer than ${LONGEST} bytes: let it fetch its larger parts`));
  }
  const [, line] = /^#!\s*(.*?)\s*(?:\n|$)/.exec(script) ?? [];
  if (line === undefined) return ok(undefined);
  const [program = '', ...args] = line.split(/\s+/);
  const shell = basename(program) === 'env' ? args.find((arg) => !arg.startsWith('-')) : program;
  if (!SHELLS.includes(basename(shell ?? ''))) {
    return err(usageFailure(`the script asks for "${line}", but it can only be one of a shell`));
  }
  return ok([program, ...args, '-c']);
}
