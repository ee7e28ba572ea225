import { chmod, chown, mkdir } from 'node:fs/promises';
import { attempt, err, type Owner, type Result, type StoreError } from '@snapstep/core/backend';

/** Makes a directory with mode 0755 whatever the umask, and with that owner if one is given. */
export async function makeEmptyDirectory(path: string, owner?: Owner): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(path));
  if (made.isErr()) return err(made.error);
  const opened = await attempt(chmod(path, 0o755));
  if (opened.isErr() || owner === undefined) return opened;
  return attempt(chown(path, owner.uid, owner.gid));
}
