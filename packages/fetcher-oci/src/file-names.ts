import type { BigIntStats } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { FileIdentities, runCommand } from '@snapstep/core/backend';

/** The name that a file has in a cache of hashes, so that no other file has it. Undefined where that cannot be told. */
export type FileNames = (path: Buffer, stat: BigIntStats) => string | undefined;

/** https://github.com/torvalds/linux/blob/master/include/uapi/linux/magic.h */
const BTRFS_SUPER_MAGIC = 0x9123683e;

/**
 * Names a file at a real path, or the files of a tree without anything mounted in it.
 *
 * A subvolume of Btrfs that is made in the place of one that was deleted may get its device number too, and has the same
 * inodes where both come from one snapshot; so its own id, which is never given out again, is part of the name.
 */
export async function fileNames(root: string): Promise<FileNames> {
  const identities = new FileIdentities();
  const type = await statfs(root).then(
    (found) => found.type,
    () => undefined,
  );
  const subvolume = type === BTRFS_SUPER_MAGIC ? await subvolumeOf(root) : '';
  if (type === undefined || subvolume === undefined) return () => undefined;
  return (path, stat) => `${subvolume}${identities.of(stat, path)}${path.toString('latin1')}`;
}

/** Btrfs makes the `f_fsid` of statfs(2), which Node does not give, from the ids of the file system and the subvolume. */
async function subvolumeOf(path: string): Promise<string | undefined> {
  const printed = await runCommand('stat', ['--file-system', '--format=%i', '--', path]);
  return printed.isOk() ? printed.value.trim() : undefined;
}
