import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type TempDir, tempDir } from './temp-dir.ts';

export interface LoopVolumeOptions {
  /** Default: 1024. */
  readonly sizeMiB?: number;
}

/** A fresh Btrfs on a loop device, mounted; unmounted and gone when it is disposed. */
export function btrfsVolume(options: LoopVolumeOptions = {}): Promise<TempDir> {
  return loopVolume(['mkfs.btrfs', '-q'], options);
}

/** As {@link btrfsVolume}: an XFS, which has reflinks. Of 300 MiB or more. */
export function xfsVolume(options: LoopVolumeOptions = {}): Promise<TempDir> {
  return loopVolume(['mkfs.xfs', '-q'], options);
}

/** As {@link btrfsVolume}: an ext4. */
export function ext4Volume(options: LoopVolumeOptions = {}): Promise<TempDir> {
  return loopVolume(['mkfs.ext4', '-q'], options);
}

async function loopVolume(
  [mkfs, ...args]: readonly [string, ...string[]],
  { sizeMiB = 1024 }: LoopVolumeOptions,
): Promise<TempDir> {
  const dir = await tempDir();
  const image = join(dir.path, 'disk.img');
  const path = join(dir.path, 'mnt');
  try {
    await mkdir(path);
    await writeFile(image, '');
    await truncate(image, sizeMiB * 1024 * 1024);
    await execa(mkfs, [...args, image]);
    await execa('mount', ['-o', 'loop,noatime', image, path]);
  } catch (error) {
    await dir[Symbol.asyncDispose]();
    throw error;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      // `-d` gives back the loop device; what a failed test left mounted below goes first.
      await execa('umount', ['-R', '-d', path], { reject: false });
      await dir[Symbol.asyncDispose]();
    },
  };
}
