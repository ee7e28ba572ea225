import { randomBytes } from 'node:crypto';
import { truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';
import { tempDir } from './temp-dir.ts';

export interface ZfsPool extends AsyncDisposable {
  /** Of the pool, and of its top dataset, which is mounted nowhere. */
  readonly name: string;
}

/** A fresh pool in a file; exported and gone, with all that is in it, when it is disposed. */
export async function zfsPool(options: { readonly sizeMiB?: number } = {}): Promise<ZfsPool> {
  const dir = await tempDir();
  const name = `snapstep${randomBytes(4).toString('hex')}`;
  try {
    const file = join(dir.path, 'pool.img');
    await writeFile(file, '');
    await truncate(file, (options.sizeMiB ?? 2048) * 1024 * 1024);
    // The file is gone with the test: nothing need be written to it before it is time to.
    const properties = ['-o', 'cachefile=none', '-O', 'mountpoint=none', '-O', 'sync=disabled'];
    await execa('zpool', ['create', ...properties, name, file]);
  } catch (error) {
    await dir[Symbol.asyncDispose]();
    throw error;
  }
  return {
    name,
    async [Symbol.asyncDispose]() {
      await execa('zpool', ['destroy', '-f', name], { reject: false });
      await dir[Symbol.asyncDispose]();
    },
  };
}
