import { type Cancelled, type CommandFailed, type Result, runCommand } from '@snapstep/core/backend';

/** Everything is allowed but the network; the last rule that matches wins. */
const NO_NETWORK = '(deny network*)';

/** Whether the program works here: Apple calls it deprecated, and inside of a sandbox it fails. */
export function probe(program: string, profile: string): Promise<Result<string, CommandFailed | Cancelled>> {
  return runCommand(program, ['-p', profile, '/bin/sh', '-c', ':']);
}

/** What a step is allowed, in the language of sandbox profiles; undefined if nothing is to be kept from it. */
export function profileOf({
  network,
  base,
}: {
  readonly network: 'none' | 'host';
  readonly base: string | undefined;
}): string | undefined {
  if (network === 'host') return base;
  // A comment at the end of theirs lasts until the end of the line.
  return `${base ?? '(version 1)(allow default)'}\n${NO_NETWORK}`;
}
