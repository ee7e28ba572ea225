import { commandFailure, err, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';

/** Deletes a tree with names of any bytes, but nothing of what is mounted in it. */
export async function removeTree(path: string, signal?: AbortSignal): Promise<Result<void, StoreError>> {
  const args = ['-rf', '--one-file-system', '--', path];
  const removed = await runCommand('rm', args, signal ? { signal } : {});
  return removed.isOk() ? ok() : err(commandFailure(removed.error));
}
