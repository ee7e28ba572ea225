import { chmod, chown, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ok, type Result } from 'neverthrow';
import type { StoreError } from './failures.ts';
import type { Owner, VolumeName } from './names.ts';
import { attempt } from './store-failure.ts';

/** Makes a directory, as a fresh volume has to be: see {@link makeOpen}. Its parent must exist, and it must not. */
export async function makeEmptyDirectory(path: string, owner?: Owner): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(path));
  return made.isErr() ? made : makeOpen(path, owner);
}

/** Gives a directory the mode 0755, whatever the umask was, and an owner if one is given. */
export async function makeOpen(path: string, owner?: Owner): Promise<Result<void, StoreError>> {
  const opened = await attempt(chmod(path, 0o755));
  if (opened.isErr() || owner === undefined) return opened;
  return attempt(chown(path, owner.uid, owner.gid));
}

/** Makes fresh, empty volumes in a directory that exists. */
export async function makeEmptyVolumes(
  directory: string,
  names: readonly VolumeName[],
): Promise<Result<void, StoreError>> {
  for (const name of names) {
    const made = await makeEmptyDirectory(join(directory, name));
    if (made.isErr()) return made;
  }
  return ok();
}
