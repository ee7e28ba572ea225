import { err, ok, type Result } from 'neverthrow';
import { runCommand } from '../backend/command.ts';
import { failed, type StoreError } from '../backend/failures.ts';
import { mountPointsBelow } from '../backend/mount-points.ts';
import { commandFailure } from '../backend/store-failure.ts';

/** Copies a tree with all that the disk keeps: hard links, holes, owners, times and attributes. */
export async function copyTree(
  from: string,
  to: string,
  signal?: AbortSignal,
): Promise<Result<void, StoreError>> {
  const copied = await runCommand('cp', ['-a', from, to], signal ? { signal } : {});
  return copied.isOk() ? ok() : err(commandFailure(copied.error));
}

/** Deletes a tree with names of any bytes and of any depth, which Node's own `rm` cannot. What is not there is no failure. */
export async function removeTree(path: string): Promise<Result<void, StoreError>> {
  const mounts = await mountPointsBelow(path);
  if (mounts.isErr()) return err(mounts.error);
  if (mounts.value.length > 0) return err(failed(`cannot delete ${path}: ${mounts.value[0]} is mounted`));
  const removed = await runCommand('rm', ['-rf', '--', path]);
  if (removed.isOk()) return ok();
  // Who is not root cannot delete what lies in a directory without write permission.
  await runCommand('chmod', ['-R', 'u+rwX', '--', path]);
  const again = await runCommand('rm', ['-rf', '--', path]);
  return again.isOk() ? ok() : err(commandFailure(again.error));
}
