import { commandFailure, err, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';
import type { CopyTree } from './copy-tree.ts';

const KEEP = '--preserve=mode,ownership,timestamps,links,xattr';

/**
 * Copies a tree with GNU cp. `to` must not exist.
 *
 * What is kept is spelt out because `-a` alone says nothing when an extended attribute cannot be kept.
 *
 * @param reflink - `auto` shares blocks where it can. It is never `always`: then a single file that cannot
 * share its blocks (`chattr +C` on Btrfs) would fail the step.
 */
export function cpTree(reflink: 'auto' | 'never'): CopyTree {
  return (from, to, options) => cp(['-dR', KEEP, `--reflink=${reflink}`, '-T', from, to], options);
}

/** Whether `cp` is GNU's and, with `always`, whether this file and its copy can share blocks. */
export async function cpCan(reflink: 'always' | 'never', file: string): Promise<boolean> {
  return (await cp([KEEP, `--reflink=${reflink}`, '-T', file, `${file}.${reflink}`], {})).isOk();
}

async function cp(
  args: readonly string[],
  options: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  const result = await runCommand('cp', args, options);
  return result.isOk() ? ok() : err(commandFailure(result.error));
}
