import { statfs } from 'node:fs/promises';
import type { Result } from 'neverthrow';
import type { StoreError } from './failures.ts';
import type { Usage } from './store.ts';
import { attempt } from './store-failure.ts';

/** Bytes and inodes of the file system that holds a directory, in the way of df(1): blocks kept for root are nobody's. */
export async function diskUsage(path: string): Promise<Result<Usage, StoreError>> {
  const disk = await attempt(statfs(path));
  return disk.map(({ bsize, blocks, bfree, bavail, files, ffree }) => {
    const used = (blocks - bfree) * bsize;
    const bytes = { axis: 'bytes', used, total: used + bavail * bsize } as const;
    // Btrfs makes inodes as it needs them, and says 0.
    return files === 0 ? [bytes] : [bytes, { axis: 'inodes', used: files - ffree, total: files }];
  });
}
