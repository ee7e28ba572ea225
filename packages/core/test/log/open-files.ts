import { readdirSync, readlinkSync } from 'node:fs';

/** The paths of the files in a directory that this process has open. Only Linux tells. */
export function openFilesBelow(directory: string): readonly string[] {
  return readdirSync('/proc/self/fd').flatMap((fd) => targetBelow(directory, fd));
}

function targetBelow(directory: string, fd: string): readonly string[] {
  try {
    const target = readlinkSync(`/proc/self/fd/${fd}`);
    return target.startsWith(`${directory}/`) ? [target] : [];
  } catch {
    return [];
  }
}
