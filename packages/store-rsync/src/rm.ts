import {
  commandFailure,
  err,
  mountPointsBelow,
  ok,
  type Result,
  runCommand,
  type StoreError,
} from '@snapstep/core/backend';

/** find(1) refuses `-execdir` where the PATH has a relative directory. */
const SAFE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

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
  if (removed.error.type === 'cancelled') return err(removed.error);
  await makeRemovable(path, options);
  const again = await runCommand('rm', ['-rf', '--', path], options);
  return again.isOk() ? ok() : err(commandFailure(again.error));
}

/**
 * What can keep a tree from being deleted: directories without write permission, such as those of Go's module
 * cache, for who is not root; and for everybody, on Btrfs, read-only subvolumes, which any user can make.
 */
async function makeRemovable(path: string, options: { readonly signal?: AbortSignal }): Promise<void> {
  if (process.getuid?.() !== 0) await runCommand('chmod', ['-R', 'u+rwX', '--', path], options);
  const setWritable = ['btrfs', 'property', 'set', '-f', '-ts', '{}', 'ro', 'false', ';'];
  const find = [path, '-type', 'd', '-inum', '256', '-execdir', ...setWritable];
  await runCommand('find', find, { ...options, env: { PATH: SAFE_PATH } });
}
