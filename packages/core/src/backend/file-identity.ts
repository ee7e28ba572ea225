import { type BigIntStats, existsSync, readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs';
import { basename } from 'node:path';
import { type MountEntry, mountOf, parseMountTable } from './mount-table.ts';

/**
 * Tells files apart by more than `st_dev` and `st_ino`, for who remembers what is in them. A device number belongs to a
 * file system only while it is mounted: Btrfs gives its subvolumes new ones at each mount, in the order in which they are
 * looked at, and a loop device is given out again. And the inodes of two subvolumes, or of a disk and its copy, are the
 * same. A file has the name that `of` gives it only until its file system is unmounted, or the machine is started again.
 *
 * One object is for one walk: what is mounted elsewhere in the meantime need not be seen.
 */
export class FileIdentities {
  readonly #disks = new Map<bigint, string>();

  /** @param path - Without links in it; `stat` is what `lstat` says of it. */
  of({ dev, ino }: Pick<BigIntStats, 'dev' | 'ino'>, path: Buffer): string {
    const known = this.#disks.get(dev);
    const disk = known ?? diskOf(path.toString('latin1'));
    if (known === undefined) this.#disks.set(dev, disk);
    return `${disk}/${dev}/${ino}`;
  }
}

/**
 * Names what is mounted where a path is, as {@link FileIdentities} needs it. Empty where nothing says it, as on macOS.
 *
 * @param path - Each character is one byte.
 */
function diskOf(path: string): string {
  const table = lookAt(() => readFileSync('/proc/self/mountinfo', 'latin1')) ?? '';
  const mount = mountOf(path, parseMountTable(table));
  if (mount === undefined) return '';
  const session = lookAt(() => sessionOf(mount));
  const { device, type, source, superOptions } = mount;
  return session ?? [device, type, source, superOptions].join(' ');
}

/**
 * The file systems that count have a directory in sysfs for each that is mounted. Its inode number is given out anew at
 * each mount, in turn: it comes again after four billion others.
 */
function sessionOf({ type, device, source }: MountEntry): string | undefined {
  if (!['btrfs', 'ext4', 'xfs', 'f2fs'].includes(type)) return undefined;
  const directories = type === 'btrfs' ? btrfsDirectories(source) : [`/sys/fs/${type}/${blockName(device)}`];
  const inodes = directories.map((path) => statSync(path, { bigint: true }).ino);
  return [type, ...inodes].join(' ');
}

/** The kernel's name of a block device, such as `loop0`. */
function blockName(number: string): string {
  return basename(readlinkSync(`/sys/dev/block/${number}`));
}

function deviceNumber(path: string): string {
  const { rdev } = statSync(path);
  return `${(rdev >> 8) & 0xfff}:${(rdev & 0xff) | ((rdev >> 12) & 0xfff00)}`;
}

/** That of the file system on a device. In a container, which sees no device, it may be any of them. */
function btrfsDirectories(source: string): string[] {
  const name = lookAt(() => blockName(deviceNumber(source)));
  return readdirSync('/sys/fs/btrfs')
    .map((entry) => `/sys/fs/btrfs/${entry}`)
    .filter((path) => name === undefined || existsSync(`${path}/devices/${name}`));
}

/** What a system without this or that file says of it is no reason to fail. */
function lookAt<T>(look: () => T): T | undefined {
  try {
    return look();
  } catch (error) {
    if (error instanceof Error && 'syscall' in error) return undefined;
    throw error;
  }
}
