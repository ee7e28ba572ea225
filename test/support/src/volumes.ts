import { mkdir, rmdir, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { execa } from 'execa';
import { type TempDir, tempDir } from './temp-dir.ts';

export interface LoopVolumeOptions {
  /** Default: 1024. */
  readonly sizeMiB?: number;
}

/** A fresh Btrfs on a loop device, mounted; unmounted and gone when it is disposed. */
export function btrfsVolume(options: LoopVolumeOptions = {}): Promise<TempDir> {
  return loopVolume('mkfs.btrfs', options);
}

/** As {@link btrfsVolume}: an XFS, which has reflinks. Of 300 MiB or more. */
export function xfsVolume(options: LoopVolumeOptions = {}): Promise<TempDir> {
  return loopVolume('mkfs.xfs', options);
}

/** As {@link btrfsVolume}: an ext4. */
export function ext4Volume(options: LoopVolumeOptions = {}): Promise<TempDir> {
  return loopVolume('mkfs.ext4', options);
}

/** As {@link btrfsVolume}: a file system in memory, with so many inodes as well. */
export function tmpfsVolume(options: {
  readonly sizeMiB: number;
  readonly inodes?: number;
}): Promise<TempDir> {
  const inodes = options.inodes === undefined ? '' : `,nr_inodes=${options.inodes}`;
  const size = `size=${options.sizeMiB}m${inodes}`;
  return mountedVolume(({ path }) => execa('mount', ['-t', 'tmpfs', '-o', size, 'snapstep-test', path]));
}

/**
 * Unmounts a disk so that nothing keeps it: namespaces that were made while it was mounted have it as well, until its
 * directory is removed. The directory is there again afterwards.
 */
export async function unmountEverywhere(path: string): Promise<void> {
  await execa('umount', ['-d', path]);
  await rmdir(path);
  await mkdir(path);
}

/** Mounts what {@link btrfsVolume} or a sister of it has made, after {@link unmountEverywhere}. */
export async function mountAgain(path: string): Promise<void> {
  await execa('mount', ['-o', 'loop,noatime', join(dirname(path), 'disk.img'), path]);
}

function loopVolume(mkfs: string, { sizeMiB = 1024 }: LoopVolumeOptions): Promise<TempDir> {
  return mountedVolume(async ({ image, path }) => {
    await writeFile(image, '');
    await truncate(image, sizeMiB * 1024 * 1024);
    await execa(mkfs, ['-q', image]);
    await execa('mount', ['-o', 'loop,noatime', image, path]);
  });
}

/** @param mount - Mounts something at `path`, perhaps what it puts into `image`, which goes with the volume. */
async function mountedVolume(
  mount: (place: { readonly image: string; readonly path: string }) => Promise<unknown>,
): Promise<TempDir> {
  const dir = await tempDir();
  const path = join(dir.path, 'mnt');
  try {
    await mkdir(path);
    await mount({ image: join(dir.path, 'disk.img'), path });
  } catch (error) {
    await dir[Symbol.asyncDispose]();
    throw error;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      // `-d` gives back a loop device; what a failed test left mounted below goes first.
      await execa('umount', ['-R', '-d', path], { reject: false });
      await dir[Symbol.asyncDispose]();
    },
  };
}
