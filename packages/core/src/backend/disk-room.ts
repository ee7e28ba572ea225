import { readdirSync, readFileSync, realpathSync, statfsSync } from 'node:fs';
import { basename } from 'node:path';
import { mountOf, parseMountTable } from './mount-table.ts';

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
    if (this.#allocation === 'unknown') this.#allocation = orUndefined(() => allocationOf(this.#path));
    const directory = this.#allocation;
    const metadata = directory && orUndefined(() => metadataOf(directory, free));
    return metadata ? { metadata } : {};
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

/** The directory of sysfs about the Btrfs that a path is on. */
function allocationOf(path: string): string | undefined {
  const mounts = parseMountTable(readFileSync('/proc/self/mountinfo', 'utf8'));
  const mount = mountOf(realpathSync(path), mounts);
  if (mount?.type !== 'btrfs') return undefined;
  const device = basename(realpathSync(mount.source));
  const found = readdirSync('/sys/fs/btrfs').find((name) =>
    orUndefined(() => readdirSync(`/sys/fs/btrfs/${name}/devices`))?.includes(device),
  );
  return found && `/sys/fs/btrfs/${found}/allocation`;
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
