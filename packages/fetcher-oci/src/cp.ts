import { type Cancelled, type CommandFailed, type Result, runCommand } from '@snapstep/core/backend';

export interface CopyTreeOptions {
  readonly from: string;
  /** A directory, which gets the mode, owner and times of `from` as well. */
  readonly into: string;
  readonly signal: AbortSignal;
}

/** Copies what is in a directory, sharing blocks where the disk can. What cannot be preserved is an error. */
export function copyTree(options: CopyTreeOptions): Promise<Result<string, CommandFailed | Cancelled>> {
  const args = [
    ...['--archive', '--preserve=mode,ownership,timestamps,links,xattr', '--reflink=auto'],
    ...['--no-target-directory', '--', options.from, options.into],
  ];
  return runCommand('cp', args, { signal: options.signal });
}
