import { access, constants } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  commandFailure,
  err,
  ok,
  type Result,
  runCommand,
  type StoreError,
} from '@snapstep/core/backend';

export interface Overlay {
  /** Where the names of the layers are looked up. */
  readonly cwd: string;
  /** The layers below, newest first, relative to `cwd`: without blanks, commas and colons. */
  readonly lower: readonly string[];
  /** What gets the changes, relative to `cwd`. Without it the overlay is read-only. */
  readonly writable?: { readonly upper: string; readonly work: string };
  readonly target: string;
}

/**
 * What a machine may set otherwise for all overlays. An index belongs to one upper directory and would be lost
 * with the next layer; it also makes an overlay that leaked into another mount namespace an error (V12).
 */
const FIXED = ['index=off', 'metacopy=off', 'nfs_export=off'];

/**
 * Since util-linux 2.39 mount(8) hands over each option by fsconfig(2), which takes 255 bytes for one; mount(2)
 * takes 4,095 for all. https://github.com/util-linux/util-linux/issues/2287
 */
const MOUNT2 = { LIBMOUNT_FORCE_MOUNT2: 'always' };

/** Renaming a directory of a layer below works (`redirect_dir`), as programs expect. */
export async function mountOverlay(overlay: Overlay): Promise<Result<void, StoreError>> {
  const { cwd, lower, writable, target } = overlay;
  const options = [
    `lowerdir=${lower.join(':')}`,
    ...(writable ? [`upperdir=${writable.upper}`, `workdir=${writable.work}`] : []),
    `redirect_dir=${writable ? 'on' : 'follow'}`,
    ...FIXED,
  ];
  const args = ['--no-mtab', '--types', 'overlay', '--options', options.join(','), 'overlay', target];
  const mounted = await runCommand('mount', args, { cwd, env: MOUNT2 });
  if (mounted.isErr()) return err(commandFailure(mounted.error));
  return writable ? expectWritable(target, join(cwd, writable.upper)) : ok();
}

/** Where the disk has no room for a directory in the work directory, the kernel mounts the overlay read-only, and says so only in its log. */
async function expectWritable(target: string, upper: string): Promise<Result<void, StoreError>> {
  const can = await attempt(access(target, constants.W_OK));
  if (can.isOk()) return ok();
  const unmounted = await unmount(target);
  if (unmounted.isErr()) return unmounted;
  const disk = await attempt(access(upper, constants.W_OK));
  if (disk.isErr()) return err(disk.error);
  return err({ type: 'no-space', message: `the disk of ${target} has no room for the work of an overlay` });
}

export async function unmount(target: string): Promise<Result<void, StoreError>> {
  const unmounted = await runCommand('umount', ['--no-mtab', target]);
  return unmounted.isOk() ? ok() : err(commandFailure(unmounted.error));
}
