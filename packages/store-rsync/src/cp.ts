import { err, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';
import { commandFailure } from './store-failure.ts';

/**
 * Copies a tree with GNU cp, blocks shared where the disk can. `to` must not exist.
 *
 * What is kept is spelt out because `-a` alone says nothing when an extended attribute cannot be kept.
 * `--reflink=auto` is right also for the reflink method: with `always`, a single file that cannot share
 * its blocks (`chattr +C` on Btrfs) would fail the step.
 */
export async function cpTree(
  from: string,
  to: string,
  options: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  return cp(
    ['-dR', '--preserve=mode,ownership,timestamps,links,xattr', '--reflink=auto', '-T', from, to],
    options,
  );
}

/** Whether `cp` is GNU's and, with `always`, whether this file and its copy can share blocks. */
export async function cpCan(reflink: 'always' | 'auto', file: string): Promise<boolean> {
  const args = ['--preserve=mode,ownership,timestamps,links,xattr', `--reflink=${reflink}`, '-T'];
  return (await cp([...args, file, `${file}.${reflink}`], {})).isOk();
}

async function cp(
  args: readonly string[],
  options: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  const result = await runCommand('cp', args, options);
  return result.isOk() ? ok() : err(commandFailure(result.error));
}
