import { mkdir } from 'node:fs/promises';
import type { Result } from 'neverthrow';
import { makeEmptyVolumes } from '../backend/empty-directory.ts';
import type { StoreError } from '../backend/failures.ts';
import { attempt } from '../backend/store-failure.ts';
import type { MemoryTree } from './memory-active.ts';

/** Makes the directory of a tree with fresh, empty volumes in it. */
export async function makeVolumes({ path, volumes }: MemoryTree): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(path));
  return made.isErr() ? made : makeEmptyVolumes(path, volumes);
}
