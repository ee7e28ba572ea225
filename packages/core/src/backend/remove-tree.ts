import { err, ok, type Result } from 'neverthrow';
import { runCommand } from './command.ts';
import type { StoreError } from './failures.ts';
import { mountPointsBelow } from './mount-points.ts';
import { commandFailure } from './store-failure.ts';

export interface RemoveTreeOptions {
  readonly signal?: AbortSignal;
  /**
   * Whether what comes to be mounted during the deletion is left alone, and the deletion then fails. For stores whose
   * killed owner may have left a `mount` running. Not for Btrfs, where a subvolume in the tree is a file system of its
   * own. Default: false.
   */
  readonly oneFileSystem?: boolean;
}

/** find(1) refuses `-execdir` where the PATH has a relative directory. */
const SAFE_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Deletes a tree with names of any bytes and of any depth, which Node's own `rm` cannot. What is not there is no
 * failure. It is not one step: hide first what must not be found half deleted, as `Workspace.discard` does.
 *
 * @returns `busy`, with nothing deleted, if something is mounted at or below it.
 */
export async function removeTree(
  path: string,
  { signal, oneFileSystem }: RemoveTreeOptions = {},
): Promise<Result<void, StoreError>> {
  const mounts = await mountPointsBelow(path);
  if (mounts.isErr()) return err(mounts.error);
  const [mount] = mounts.value;
  if (mount !== undefined) {
    return err({ type: 'busy', message: `cannot delete ${path}: ${mount} is mounted` });
  }
  const options = signal ? { signal } : {};
  const args = ['-rf', ...(oneFileSystem ? ['--one-file-system'] : []), '--', path];
  const removed = await runCommand('rm', args, options);
  if (removed.isOk()) return ok();
  if (removed.error.type === 'cancelled') return err(removed.error);
  await makeRemovable(path, options);
  const again = await runCommand('rm', args, options);
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
