import {
  commandFailure,
  err,
  mountPointsBelow,
  ok,
  type Result,
  runCommand,
  type StoreError,
} from '@snapstep/core/backend';

/**
 * Deletes a tree with names of any bytes and of any depth, which Node's own `rm` cannot.
 *
 * @returns `busy`, with nothing deleted, if something is mounted below it.
 */
export async function removeTree(path: string, signal?: AbortSignal): Promise<Result<void, StoreError>> {
  const mounts = await mountPointsBelow(path);
  if (mounts.isErr()) return err(mounts.error);
  const [mount] = mounts.value;
  if (mount !== undefined)
    return err({ type: 'busy', message: `cannot delete ${path}: ${mount} is mounted` });
  const options = signal ? { signal } : {};
  const removed = await runCommand('rm', ['-rf', '--', path], options);
  if (removed.isOk()) return ok();
  if (removed.error.type === 'cancelled' || process.getuid?.() === 0)
    return err(commandFailure(removed.error));
  // Who is not root cannot empty a directory without write permission, such as those of Go's module cache.
  await runCommand('chmod', ['-R', 'u+rwX', '--', path], options);
  const again = await runCommand('rm', ['-rf', '--', path], options);
  return again.isOk() ? ok() : err(commandFailure(again.error));
}
