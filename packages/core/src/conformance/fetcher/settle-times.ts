import { lutimes, readdir } from 'node:fs/promises';
import { join } from 'node:path';

const WHEN = new Date('2024-05-06T07:08:09Z');

/** Gives every file the same time of change, in whole seconds: archives seldom keep more. */
export async function settle(directory: string): Promise<void> {
  // Without the types of the entries Node goes into directories that a link leads to.
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  for (const path of [...entries.map(({ parentPath, name }) => join(parentPath, name)), directory])
    await lutimes(path, WHEN, WHEN);
}
