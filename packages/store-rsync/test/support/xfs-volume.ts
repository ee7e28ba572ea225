import { mkdir, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '@snapstep/core/backend';
import { expectOk, tempDir } from '@snapstep/test-support';

/** A fresh XFS, which has reflinks, on a loop device; unmounted and gone when it is disposed. */
export async function xfsVolume(): Promise<{ readonly path: string } & AsyncDisposable> {
  const dir = await tempDir();
  const image = join(dir.path, 'disk.img');
  const path = join(dir.path, 'mnt');
  await mkdir(path);
  await writeFile(image, '');
  await truncate(image, 1024 ** 3);
  const dispose = async () => {
    await runCommand('umount', ['-R', '-d', path]);
    await dir[Symbol.asyncDispose]();
  };
  try {
    expectOk(await runCommand('mkfs.xfs', ['-q', image]));
    expectOk(await runCommand('mount', ['-o', 'loop,noatime', image, path]));
  } catch (error) {
    await dispose();
    throw error;
  }
  return { path, [Symbol.asyncDispose]: dispose };
}
