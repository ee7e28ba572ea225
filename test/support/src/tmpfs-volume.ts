import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { type TempDir, tempDir } from './temp-dir.ts';

/** A fresh file system in memory, with so many inodes as well; unmounted and gone when it is disposed. */
export async function tmpfsVolume(options: {
  readonly sizeMiB: number;
  readonly inodes?: number;
}): Promise<TempDir> {
  const dir = await tempDir();
  const path = join(dir.path, 'mnt');
  const inodes = options.inodes === undefined ? '' : `,nr_inodes=${options.inodes}`;
  try {
    await mkdir(path);
    await execa('mount', ['-t', 'tmpfs', '-o', `size=${options.sizeMiB}m${inodes}`, 'snapstep-test', path]);
  } catch (error) {
    await dir[Symbol.asyncDispose]();
    throw error;
  }
  return {
    path,
    async [Symbol.asyncDispose]() {
      await execa('umount', ['-R', path], { reject: false });
      await dir[Symbol.asyncDispose]();
    },
  };
}
