import { existsSync } from 'node:fs';
import { dirname } from 'node:path';

/** The path itself, or the nearest directory above it that exists: what will be there lies on the same disk. */
export function existing(path: string): string {
  return existsSync(path) ? path : existing(dirname(path));
}
