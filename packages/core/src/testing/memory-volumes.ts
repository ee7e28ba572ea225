import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { ok, type Result } from 'neverthrow';
import { makeEmptyDirectory } from '../backend/empty-directory.ts';
import type { StoreError } from '../backend/failures.ts';
import { attempt } from '../backend/store-failure.ts';
import type { MemoryTree } from './memory-active.ts';

/** Makes the directory of a tree with fresh, empty volumes in it. */
export async function makeVolumes({ path, volumes }: MemoryTree): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(path));
  if (made.isErr()) return made;
  for (const name of volumes) {
    const volume = await makeEmptyDirectory(join(path, name));
    if (volume.isErr()) return volume;
  }
  return ok();
}
