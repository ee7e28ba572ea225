import { commandFailure, err, ok, type Result, runCommand, type StoreError } from '@snapstep/core/backend';

const KEEP = '--preserve=mode,ownership,timestamps,links,xattr';

/** Copies a directory with all that is in it. `to` must not exist. */
export async function copyTree(
  from: string,
  to: string,
  options: { readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  const copied = await runCommand('cp', ['-dR', KEEP, '--reflink=auto', '-T', from, to], options);
  return copied.isOk() ? ok() : err(commandFailure(copied.error));
}
