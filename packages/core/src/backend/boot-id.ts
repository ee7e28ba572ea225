import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

let known: string | undefined;

/**
 * Names this boot of the machine: the text is another one after each start, and the same until then. What was written
 * during another boot, and never synced, may be lost, empty or half there.
 *
 * Linux: random(4). macOS: the sysctl `kern.bootsessionuuid`. Elsewhere each process counts as a boot of its own.
 */
export function bootId(): string {
  known ??= (readBootId() || `process-${process.pid}-${Date.now()}`).trim();
  return known;
}

function readBootId(): string | undefined {
  try {
    if (process.platform === 'linux') return readFileSync('/proc/sys/kernel/random/boot_id', 'utf8');
    return execFileSync('sysctl', ['-n', 'kern.bootsessionuuid'], { encoding: 'utf8', timeout: 5000 });
  } catch {
    return undefined;
  }
}
