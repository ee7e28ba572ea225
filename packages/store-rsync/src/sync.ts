import { commandFailure, err, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';

/**
 * Writes out what the file system of a path has not written yet, deletions as well, with sync(1) of GNU.
 * Elsewhere, as on macOS, there is nothing to do: APFS gives back space at once.
 */
export async function syncFileSystem(
  path: string,
  options: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  if (process.platform !== 'linux') return ok();
  const synced = await runCommand('sync', ['--file-system', '--', path], options);
  return synced.isOk() ? ok() : err(commandFailure(synced.error));
}
