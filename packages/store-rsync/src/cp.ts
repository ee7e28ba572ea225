import { commandFailure, type Result, runCommand, type StoreError } from '@snapstep/core/backend';

/** Copies a file beside it: an error unless `cp` is GNU's and, with `always`, both can share blocks. */
export async function tryCp(reflink: 'always' | 'never', file: string): Promise<Result<unknown, StoreError>> {
  const args = ['--preserve=mode,ownership,timestamps,links,xattr', `--reflink=${reflink}`, '-T'];
  return (await runCommand('cp', [...args, file, `${file}.${reflink}`])).mapErr(commandFailure);
}

/** Whether `cp` is GNU's, by what it says of itself. */
export async function hasGnuCp(): Promise<boolean> {
  return (await runCommand('cp', ['--reflink=auto', '--version'])).isOk();
}
