import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type TempDir, tempDir } from './temp-dir.ts';

/** A fresh Btrfs on a loop device, mounted; unmounted and gone when it is disposed. */
export async function btrfsVolume(options: { readonly sizeMiB?: number } = {}): Promise<TempDir> {
  const dir = await tempDir();
  const image = join(dir.path, 'disk.img');
  const path = join(dir.path, 'mnt');
  try {
    await mkdir(path);
    await writeFile(image, '');
    await truncate(image, (options.sizeMiB ?? 1024) * 1024 * 1024);
    await execa('mkfs.btrfs', ['-q', image]);
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
