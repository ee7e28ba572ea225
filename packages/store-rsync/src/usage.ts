import { readdir, statfs } from 'node:fs/promises';
import {
  attempt,
  err,
  type Result,
  type StoreError,
  type Usage,
  type UsageAxis,
} from '@snapstep/core/backend';
import type { Layout } from './layout.ts';

/** What the file system below the store says, in the way of df(1): blocks kept for root are nobody's. */
export async function diskUsage(layout: Layout): Promise<Result<Usage, StoreError>> {
  const disk = await attempt(statfs(layout.result));
  if (disk.isErr()) return err(disk.error);
  const snapshots = await attempt(readdir(layout.result));
  if (snapshots.isErr()) return err(snapshots.error);
  const caches = await attempt(readdir(layout.cache));
  return caches.map((names) => [
    ...axes(disk.value),
    { axis: 'objects', used: snapshots.value.length + names.length },
  ]);
}

interface DiskCounts {
  readonly bsize: number;
  readonly blocks: number;
  readonly bfree: number;
  readonly bavail: number;
  readonly files: number;
  readonly ffree: number;
}

function axes(disk: DiskCounts): UsageAxis[] {
  const used = (disk.blocks - disk.bfree) * disk.bsize;
  const bytes = { axis: 'bytes', used, total: used + disk.bavail * disk.bsize } as const;
  // Btrfs makes inodes as it needs them, and says 0.
  if (disk.files === 0) return [bytes];
  return [bytes, { axis: 'inodes', used: disk.files - disk.ffree, total: disk.files }];
}
