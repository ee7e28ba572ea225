import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  copyTree as copyWithCp,
  err,
  failed,
  ok,
  type Result,
  type StoreError,
} from '@snapstep/core/backend';
import type { CopyTree } from './copy-tree.ts';
import { cpCan } from './cp.ts';
import { checkRsync, rsyncTree } from './rsync.ts';

/**
 * How a snapshot is copied:
 * - `reflink`: GNU cp, with the blocks shared until one side writes (XFS, Btrfs, bcachefs);
 * - `copy`: GNU cp, with every byte copied;
 * - `rsync`: rsync 3.1 or later, with every byte copied.
 */
export type CopyMethod = 'reflink' | 'rsync' | 'copy';

export const copyTree: Readonly<Record<CopyMethod, CopyTree>> = {
  reflink: (from, to, options) => copyWithCp(from, to, { ...options, reflink: 'auto' }),
  copy: (from, to, options) => copyWithCp(from, to, { ...options, reflink: 'never' }),
  rsync: rsyncTree,
};

/**
 * Finds out by trying what can be done in a directory, which must be empty.
 *
 * `auto` takes the first that works of `reflink`, `copy` and `rsync`. Where nothing can be shared, cp copied
 * the 8,743 files of a minimal Debian in 1.0 to 1.3 s and rsync in 3.5 s while memory took the writes; once
 * the disk is the limit, they are equal.
 */
export async function chooseCopyMethod(
  wanted: CopyMethod | 'auto',
  probeDirectory: string,
): Promise<Result<CopyMethod, StoreError>> {
  if (wanted === 'rsync') return (await checkRsync()).map(() => wanted);
  const file = join(probeDirectory, 'probe');
  const written = await attempt(writeFile(file, Buffer.alloc(64 * 1024, 'snapstep')));
  if (written.isErr()) return err(written.error);
  if (wanted !== 'copy' && (await cpCan('always', file))) return ok('reflink');
  if (wanted === 'reflink') {
    return err(failed(`files of ${probeDirectory} cannot share blocks (XFS and Btrfs can, with GNU cp)`));
  }
  if (await cpCan('never', file)) return ok('copy');
  if (wanted === 'copy') return err(failed('"cp" is not GNU cp: install coreutils, or use rsync'));
  const rsync = await checkRsync();
  return rsync.isOk()
    ? ok('rsync')
    : err(failed(`neither GNU cp nor rsync can be used: ${message(rsync.error)}`));
}

function message(error: StoreError): string {
  return error.type === 'cancelled' ? 'cancelled' : error.message;
}
