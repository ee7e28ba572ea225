import { err, ok, type Result } from 'neverthrow';
import { type CommandFailed, runCommand } from './command.ts';
import { copyDeep } from './deep-copy.ts';
import type { Cancelled, StoreError } from './failures.ts';
import { commandFailure } from './store-failure.ts';

export interface CopyTreeOptions {
  readonly signal?: AbortSignal;
  /**
   * Whether blocks are shared with the original until one side writes, where the disk can (XFS, Btrfs, APFS). There is
   * no `always`: a single file that cannot share its blocks (`chattr +C` on Btrfs) would fail the copy. Default: `auto`.
   */
  readonly reflink?: 'auto' | 'never';
}

/**
 * What GNU cp keeps, spelt out: `-a` alone says nothing where an extended attribute cannot be kept.
 *
 * It is all that the disk has: names and contents of any bytes, owners as numbers, modes with setuid, times to the
 * nanosecond, hard links, holes, access lists, capabilities, device nodes, pipes and sockets.
 */
const KEEP = '--preserve=mode,ownership,timestamps,links,xattr';

/**
 * Copies a directory with all that is in it. `to` must not exist; what a failure leaves there is the caller's to delete.
 *
 * It needs GNU cp, or the cp of macOS. Files of other owners, device nodes and capabilities need root.
 *
 * On Linux a tree may be of any depth, but names that are one file, one of them in a path of more than 4,096 bytes and
 * another elsewhere, come out as two.
 *
 * @returns `no-space` if the disk is full.
 */
export async function copyTree(
  from: string,
  to: string,
  options: CopyTreeOptions = {},
): Promise<Result<void, StoreError>> {
  const cp = (source: string, target: string) => runCp(source, target, options);
  if (process.platform === 'linux') return copyDeep(from, to, { ...options, cp });
  const copied = await cp(from, to);
  return copied.isOk() ? ok() : err(commandFailure(copied.error));
}

function runCp(
  from: string,
  to: string,
  { signal, reflink = 'auto' }: CopyTreeOptions,
): Promise<Result<string, CommandFailed | Cancelled>> {
  const gnu = ['-dR', KEEP, `--reflink=${reflink}`, '-T'];
  // https://keith.github.io/xcode-man-pages/cp.1.html: -c clones, and attributes are always kept with -p.
  const mac = reflink === 'auto' ? ['-cRpP'] : ['-RpP'];
  const args = process.platform === 'darwin' ? mac : gnu;
  return runCommand('cp', [...args, '--', from, to], signal ? { signal } : {});
}
