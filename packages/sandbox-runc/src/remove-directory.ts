import { rmSync } from 'node:fs';
import { detach } from './mount.ts';
import { readMountTable } from './mount-table.ts';

/** Removes a directory of ours. A runtime that was killed half-way may have left a mount in it. */
export async function removeDirectory(path: string): Promise<void> {
  const options = { recursive: true, force: true } as const;
  try {
    rmSync(path, options);
  } catch {
    const below = (await readMountTable()).filter(({ target }) => target.startsWith(`${path}/`));
    for (const { target } of below.reverse()) await detach(target);
    rmSync(path, options);
  }
}
