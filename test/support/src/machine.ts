import { accessSync, constants, existsSync, readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { delimiter, join } from 'node:path';

export type Need =
  | 'root'
  | 'btrfs'
  | 'xfs'
  | 'runc'
  | 'crun'
  | 'rsync'
  | 'skopeo'
  | 'umoci'
  | 'docker-registry'
  | 'busybox'
  | 'zfs-fuse'
  | 'openzfs'
  | 'guest'
  | 'git'
  | 'bwrap'
  | 'opam';

/** What of it this machine lacks. */
export function lacking(what: readonly Need[]): readonly Need[] {
  return what.filter((need) => !has(need));
}

function has(need: Need): boolean {
  if (need === 'root') return process.getuid?.() === 0;
  if (need === 'btrfs') {
    return isOnPath('mkfs.btrfs') && readFileSync('/proc/filesystems', 'utf8').includes('\tbtrfs\n');
  }
  // A virtual machine of ours, in which tests may change what belongs to the whole machine.
  if (need === 'guest') return process.env.SNAPSTEP_GUEST !== undefined && hostname() === 'guest';
  if (need === 'xfs') return isOnPath('mkfs.xfs');
  // zfs-fuse, which has the same programs, has no such device.
  if (need === 'openzfs') return existsSync('/dev/zfs') && isOnPath('zpool');
  return isOnPath(need);
}

function isOnPath(program: string): boolean {
  const path = `${process.env.PATH ?? ''}${delimiter}/usr/sbin${delimiter}/sbin`;
  return path.split(delimiter).some((dir) => isExecutable(join(dir, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
