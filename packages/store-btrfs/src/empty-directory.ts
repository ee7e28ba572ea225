import { chmod, chown } from 'node:fs/promises';
import { attempt, type Owner, type Result, type StoreError } from '@snapstep/core/backend';

/** Gives a new directory the mode 0755, whatever the umask was, and an owner. */
export async function makeOpen(path: string, owner?: Owner): Promise<Result<void, StoreError>> {
  const opened = await attempt(chmod(path, 0o755));
  if (opened.isErr() || owner === undefined) return opened;
  return attempt(chown(path, owner.uid, owner.gid));
}
