import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe } from 'vitest';

export type Need =
  | 'root'
  | 'btrfs'
  | 'runc'
  | 'crun'
  | 'rsync'
  | 'skopeo'
  | 'umoci'
  | 'docker-registry'
  | 'busybox';

/**
 * `describe`, or, where the machine lacks something, a skipped `describe` whose title says what.
 * Where nothing may be skipped (`CI` is set and we are root), a lack is an error.
 */
export function needs(...what: readonly Need[]): (title: string, body: () => void) => void {
  const missing = what.filter((need) => !has(need));
  if (missing.length === 0) return (title, body) => void describe(title, body);
  const reason = `needs ${missing.join(', ')}`;
  if (process.env.CI && process.getuid?.() === 0) throw new Error(`this machine lacks something: ${reason}`);
  return (title, body) => void describe.skip(`${title} (${reason})`, body);
}

function has(need: Need): boolean {
  if (need === 'root') return process.getuid?.() === 0;
  if (need === 'btrfs') {
    return isOnPath('mkfs.btrfs') && readFileSync('/proc/filesystems', 'utf8').includes('\tbtrfs\n');
  }
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
