import { chmod, chown, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Owner, SecretFile } from '@snapstep/core/backend';

/**
 * Writes secrets to files that only `owner` may read, for mounting into a container.
 *
 * @param directory - A new one, on a tmpfs: a disk may keep what was deleted from it.
 * @returns The file of each secret, in their order.
 */
export async function writeSecrets(
  directory: string,
  secrets: readonly SecretFile[],
  owner: Owner,
): Promise<readonly string[]> {
  await mkdir(directory, { mode: 0o700 });
  return Promise.all(
    secrets.map(async ({ value }, index) => {
      const file = join(directory, `${index}`);
      await writeFile(file, value, { mode: 0o400, flag: 'wx' });
      await chmod(file, 0o400);
      await chown(file, owner.uid, owner.gid);
      return file;
    }),
  );
}
