import { chmod, chown, mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  attemptExisting,
  commandFailure,
  err,
  type Owner,
  ok,
  type Result,
  runCommand,
  type StoreError,
} from '@snapstep/core/backend';

export async function exists(path: string): Promise<Result<boolean, StoreError>> {
  return (await attemptExisting(stat(path))).map((stats) => stats !== undefined);
}

export function makeDirectories(
  path: string,
  { names, owner }: { readonly names: readonly string[]; readonly owner?: Owner },
): Promise<Result<void, StoreError>> {
  const make = async (directory: string): Promise<void> => {
    await mkdir(directory, { recursive: true });
    await chmod(directory, 0o755);
    if (owner) await chown(directory, owner.uid, owner.gid);
  };
  return attempt(
    (async () => {
      for (const name of names) await make(join(path, name));
    })(),
  );
}

/** `commandFailure` knows which words of a program mean that the disk is full. */
export async function copyTree(
  from: string,
  to: string,
  signal?: AbortSignal,
): Promise<Result<void, StoreError>> {
  const copied = await runCommand('cp', ['-aT', '--', from, to], signal ? { signal } : {});
  return copied.isOk() ? ok() : err(commandFailure(copied.error));
}

/** `rm`, because the `rm` of Node cannot delete names that are not valid UTF-8. */
export async function removeTree(path: string): Promise<Result<void, StoreError>> {
  const removed = await runCommand('rm', ['-rf', '--', path]);
  return removed.isOk() ? ok() : err(commandFailure(removed.error));
}
