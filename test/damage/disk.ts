import { mkdir, rm, rmdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

export type FileSystem = 'btrfs' | 'xfs' | 'ext4';

/** The smallest that is big enough for the worlds here. */
const SIZE_MIB: Readonly<Record<FileSystem, number>> = { btrfs: 160, xfs: 320, ext4: 96 };

/** Two XFS of the same identity are one disk to the kernel, unless it is told otherwise. */
const MOUNT_OPTIONS: Readonly<Record<FileSystem, string>> = {
  btrfs: 'noatime',
  xfs: 'noatime,nouuid',
  ext4: 'noatime',
};

export interface DiskOptions {
  /** Where the image and the mount point are made. */
  readonly directory: string;
  readonly fileSystem: FileSystem;
  readonly sizeMiB?: number;
  /** Only for ext4. */
  readonly inodes?: number;
}

/** A disk in a file, mounted at `path`. Disposing it takes everything away, whatever is still mounted on it. */
export class Disk implements AsyncDisposable {
  readonly path: string;
  readonly image: string;
  readonly fileSystem: FileSystem;
  #device: string | undefined;

  private constructor({ directory, fileSystem }: DiskOptions) {
    disks += 1;
    this.path = join(directory, `${disks}`);
    this.image = join(directory, `${disks}.img`);
    this.fileSystem = fileSystem;
  }

  static async make(options: DiskOptions): Promise<Disk> {
    const { fileSystem, sizeMiB = SIZE_MIB[fileSystem], inodes } = options;
    const disk = new Disk(options);
    await writeFile(disk.image, '');
    await truncate(disk.image, sizeMiB * 1024 * 1024);
    const count = inodes === undefined ? [] : ['-N', `${inodes}`];
    await execa(`mkfs.${fileSystem}`, ['-q', ...count, disk.image]);
    return disk.#started();
  }

  /** A disk with the same content. The image is that of a disk that is not mounted. */
  static async copy(image: string, options: DiskOptions): Promise<Disk> {
    const disk = new Disk(options);
    await execa('cp', ['--sparse=always', image, disk.image]);
    // Two Btrfs of the same identity are one disk to the kernel.
    if (disk.fileSystem === 'btrfs') await execa('btrfstune', ['-f', '-m', disk.image]);
    return disk.#started();
  }

  /** @param options - Such as `ro`. */
  async mount(options = 'rw'): Promise<void> {
    this.#device ??= (await execa('losetup', ['--find', '--show', this.image])).stdout.trim();
    const all = `${MOUNT_OPTIONS[this.fileSystem]},${options}`;
    await execa('mount', ['-o', all, this.#device, this.path]);
  }

  /**
   * The image is whole then, also where another process of this machine has just taken a copy of all mounts with it.
   *
   * @returns Why it cannot be unmounted: something on it is still in use.
   */
  async unmount(): Promise<string | undefined> {
    await execa('sync', ['--file-system', this.path], { reject: false });
    const { failed, stderr } = await execa('umount', [this.path], { reject: false });
    return failed ? stderr : undefined;
  }

  /** Takes away all that is mounted on it, in use or not. */
  async tearOff(): Promise<void> {
    for (let tries = 0; tries < 20; tries += 1) {
      const { failed } = await execa('umount', ['--recursive', '--lazy', this.path], { reject: false });
      if (failed) return;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if ((await this.unmount()) !== undefined) await this.tearOff();
    if (this.#device !== undefined) await execa('losetup', ['--detach', this.#device], { reject: false });
    await rm(this.image, { force: true });
    await rmdir(this.path).catch(() => {}); // Where it is still in use, it goes with all of the bench.
  }

  async #started(): Promise<Disk> {
    await mkdir(this.path);
    try {
      await this.mount();
      return this;
    } catch (error) {
      await this[Symbol.asyncDispose]();
      throw error;
    }
  }
}

let disks = 0;
