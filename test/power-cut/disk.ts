import { constants } from 'node:fs';
import { copyFile, mkdir, rm, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

export type FileSystem = 'btrfs' | 'xfs' | 'ext4';

const PART_MIB = 3072;
const MIB = 1024 * 1024;

/**
 * A disk with a file system on each of its parts, made anew and mounted. Its bytes are a file, so that a copy of the file
 * is what a power cut leaves of it: what the file systems have written by then, and nothing that they still hold in
 * memory. All parts are in one file, and are cut at the same moment.
 *
 * Everything is mounted with loop devices that go with the mounts. It must run in a mount namespace of its own, so that
 * the mounts go with the process, however it ends.
 */
export class Disk implements AsyncDisposable {
  /** Its parts are mounted below: `0`, `1` and so on. */
  readonly path: string;
  readonly #parts: readonly FileSystem[];

  private constructor(path: string, parts: readonly FileSystem[]) {
    this.path = path;
    this.#parts = parts;
  }

  /**
   * @param path - A directory on a file system that has reflinks. Made, and gone with the disk.
   * @param parts - At least one.
   */
  static async make(path: string, parts: readonly FileSystem[]): Promise<Disk> {
    await mkdir(path);
    const disk = new Disk(path, parts);
    await writeFile(disk.#file, '');
    await truncate(disk.#file, parts.length * PART_MIB * MIB);
    for (const [number, fileSystem] of parts.entries()) await disk.#format(number, fileSystem);
    await mountParts({ file: disk.#file, parts, at: path });
    return disk;
  }

  /** Nothing that was written so far can be lost any more. */
  async sync(): Promise<void> {
    for (const number of this.#parts.keys()) await execa('sync', ['-f', partPath(this.path, number)]);
  }

  /**
   * Cuts the power, without harm to who goes on working.
   *
   * @param file - What is left of the disk, for {@link mountParts}. On the same file system.
   */
  async cut(file: string): Promise<void> {
    await copyFile(this.#file, file, constants.COPYFILE_FICLONE_FORCE);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const number of this.#parts.keys()) {
      await execa('umount', ['-R', partPath(this.path, number)], { reject: false });
    }
    await rm(this.path, { recursive: true, force: true });
  }

  get #file(): string {
    return join(this.path, 'disk.img');
  }

  /** It is made in a file of its own, whose extents then become those of the disk. */
  async #format(number: number, fileSystem: FileSystem): Promise<void> {
    const image = join(this.path, `part-${number}.img`);
    await writeFile(image, '');
    await truncate(image, PART_MIB * MIB);
    await execa(`mkfs.${fileSystem}`, ['-q', image]);
    const reflink = `reflink ${image} 0 ${number * PART_MIB}m ${PART_MIB}m`;
    await execa('xfs_io', ['-c', reflink, this.#file]);
    await rm(image);
  }
}

/** Mounts what is in the file of a disk, or of a disk that was cut, at `<at>/0`, `<at>/1` and so on. */
export async function mountParts({
  file,
  parts,
  at,
}: {
  readonly file: string;
  readonly parts: readonly FileSystem[];
  readonly at: string;
}): Promise<void> {
  for (const [number, fileSystem] of parts.entries()) {
    const path = partPath(at, number);
    await mkdir(path, { recursive: true });
    // The copy of a disk has the same UUID, which XFS minds where the other is mounted too.
    const options = [`loop,offset=${number * PART_MIB * MIB},sizelimit=${PART_MIB * MIB}`];
    if (fileSystem === 'xfs') options.push('nouuid');
    await execa('mount', ['-t', fileSystem, '-o', options.join(','), file, path]);
  }
}

function partPath(at: string, number: number): string {
  return join(at, `${number}`);
}
