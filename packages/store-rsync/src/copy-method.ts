import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, failed, ok, type Result, type StoreError } from '@snapstep/core/backend';
import { cpCan, cpTree } from './cp.ts';
import { checkRsync, rsyncTree } from './rsync.ts';
import { attempt } from './store-failure.ts';

/**
 * How a snapshot is copied:
 * - `reflink`: GNU cp, with the blocks shared until one side writes (XFS, Btrfs, bcachefs);
 * - `copy`: GNU cp, with every byte copied;
 * - `rsync`: rsync 3.1 or later, with every byte copied.
 */
export type CopyMethod = 'reflink' | 'rsync' | 'copy';

/** Copies one directory with all that is in it. The target must not exist. */
export type CopyTree = (
  from: string,
  to: string,
  options: { readonly signal?: AbortSignal },
) => Promise<Result<void, StoreError>>;

export const copyTree: Readonly<Record<CopyMethod, CopyTree>> = {
  reflink: cpTree,
  copy: cpTree,
  rsync: rsyncTree,
};

/**
 * Finds out by trying what can be done in a directory, which must be empty.
 *
 * `auto` takes the first that works of `reflink`, `copy` and `rsync`: where nothing can be shared, cp took
 * a third of the time that rsync took for the 8,743 files of a minimal Debian, as it is one process that
 * lets the kernel move the bytes.
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
  if (await cpCan('auto', file)) return ok('copy');
  if (wanted === 'copy') return err(failed('"cp" is not GNU cp: install coreutils, or use rsync'));
  const rsync = await checkRsync();
  return rsync.isOk()
    ? ok('rsync')
    : err(failed(`neither GNU cp nor rsync can be used: ${message(rsync.error)}`));
}

function message(error: StoreError): string {
  return error.type === 'cancelled' ? 'cancelled' : error.message;
}
