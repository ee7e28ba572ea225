import { lstat, readdir } from 'node:fs/promises';
import type { Result } from 'neverthrow';
import type { StoreError } from '../backend/failures.ts';
import { attempt } from '../backend/store-failure.ts';

/**
 * How many bytes the files below a directory hold: their lengths, holes included, a file of several names once.
 * Unlike blocks these are the same on every disk.
 */
export function contentBytes(directory: string): Promise<Result<number, StoreError>> {
  return attempt(measure(Buffer.from(directory), new Set()));
}

async function measure(directory: Buffer, seen: Set<number>): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(directory, { encoding: 'buffer', withFileTypes: true })) {
    const path = Buffer.concat([directory, Buffer.from('/'), entry.name]);
    if (entry.isDirectory()) bytes += await measure(path, seen);
    if (!entry.isFile()) continue;
    const { ino, size } = await lstat(path);
    if (!seen.has(ino)) bytes += size;
    seen.add(ino);
  }
  return bytes;
}
