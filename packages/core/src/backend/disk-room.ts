import { readdirSync, readFileSync, realpathSync, statfsSync } from 'node:fs';
import { basename } from 'node:path';
import { isAtOrBelow, mountOf, parseMountTable } from './mount-table.ts';

/** Something that runs out while files are written. */
export interface Supply {
  /** What is left for users other than root. */
  readonly free: number;
  readonly total: number;
}

/** What is left on a disk. */
export interface DiskRoom {
  readonly bytes: Supply;
  /** Absent where the file system makes inodes as it needs them. */
  readonly inodes?: Supply;
  /** Bytes of what Btrfs keeps about files. They run out while there are many for the files themselves. */
  readonly metadata?: Supply;
}

/** BTRFS_SUPER_MAGIC of statfs(2). */
const BTRFS = 0x9123683e;

/** The directories of sysfs about each Btrfs, by where it is mounted. Looking for one takes as long as ten looks. */
const allocations = new Map<string, string>();

/**
 * Looks at the file system that holds a directory.
 *
 * A look is a system call, and a few small files on Btrfs: it takes microseconds, a tenth of what handing it to a
 * thread takes.
 */
export class DiskProbe {
  readonly #path: string;
  #allocation: string | undefined | 'unknown' = 'unknown';

  constructor(path: string) {
    this.#path = path;
  }

  /** @returns Undefined where the directory is gone, or its file system does not say how large it is. */
  look(): DiskRoom | undefined {
    const disk = orUndefined(() => statfsSync(this.#path));
    if (disk === undefined || disk.blocks === 0) return undefined;
    const { bsize, blocks, bavail, files, ffree, type } = disk;
    const bytes = { free: bavail * bsize, total: blocks * bsize };
    if (type === BTRFS) return { bytes, ...this.#lookAtBtrfs(bytes.free) };
    return files === 0 ? { bytes } : { bytes, inodes: { free: ffree, total: files } };
  }

  #lookAtBtrfs(free: number): Pick<DiskRoom, 'metadata'> {
    if (this.#allocation === 'unknown') this.#allocation = knownAllocation(this.#path);
    const directory = this.#allocation;
    const metadata = directory && orUndefined(() => metadataOf(directory, free));
    if (metadata) return { metadata };
    // It was unmounted, and another may be mounted there.
    allocations.clear();
    return {};
  }
}

/**
 * What `statfs` does not say: its free bytes do not shrink where metadata cannot grow any more. The global reserve is for
 * what must not fail, such as deleting.
 *
 * https://btrfs.readthedocs.io/en/latest/ch-sysfs.html
 */
function metadataOf(allocation: string, freeBytes: number): Supply {
  const read = (file: string): number => Number(readFileSync(`${allocation}/${file}`, 'utf8'));
  const [size, used] = [read('metadata/total_bytes'), read('metadata/bytes_used')];
  const reserve = read('global_rsv_size') + read('metadata/bytes_readonly');
  const copies = Math.max(1, read('metadata/disk_total') / size);
  // Of the bytes that are free for data, those that are not allocated can become either.
  const unallocated = Math.max(0, freeBytes - read('data/total_bytes') + read('data/bytes_used'));
  const total = Math.max(0, size - reserve) + Math.floor(unallocated / copies);
  return { free: Math.max(0, total - used), total };
}

function knownAllocation(path: string): string | undefined {
  for (const [point, directory] of allocations) if (isAtOrBelow(path, point)) return directory;
  return orUndefined(() => allocationOf(path));
}

/** The directory of sysfs about the Btrfs that a path is on. */
function allocationOf(path: string): string | undefined {
  const mounts = parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'));
  const mount = mountOf(realpathSync(path), mounts);
  if (mount?.type !== 'btrfs') return undefined;
  const device = basename(realpathSync(mount.source));
  const found = readdirSync('/sys/fs/btrfs').find((name) =>
    orUndefined(() => readdirSync(`/sys/fs/btrfs/${name}/devices`))?.includes(device),
  );
  if (found === undefined) return undefined;
  const directory = `/sys/fs/btrfs/${found}/allocation`;
  if (mount.point !== '/') allocations.set(mount.point, directory);
  return directory;
}

/** What a system without this or that file says of it is no reason to fail. */
function orUndefined<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) return undefined;
    throw error;
  }
}
