import { rmSync } from 'node:fs';
import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { type HostPath, toHostPath } from '../../../src/index.ts';
import { BIG } from './arbitrary-case.ts';
import { makeWorld, type Wanted } from './world.ts';

/** A directory that each story fills anew; one large file stays, so that its hash is known and it can be cloned. */
export interface Context {
  readonly path: HostPath;
  fill(tree: readonly Wanted[]): Promise<void>;
}

export async function openContext(dir: string): Promise<Context> {
  const path = join(dir, 'context');
  const big = join(path, BIG);
  await mkdir(path);
  await writeFile(big, Buffer.alloc(300_000, 'snapstep'), { mode: 0o755 });
  await utimes(big, 0, 12_345.5);
  const { ctimeMs } = await stat(big);
  // Before, its hash would not be kept: a change might not show in its times.
  await expect.poll(() => Date.now() - ctimeMs, { timeout: 10_000 }).toBeGreaterThan(200);
  return {
    path: toHostPath(path),
    fill: async (tree) => {
      await empty(path);
      await makeWorld(path, tree);
    },
  };
}

/** Deletes what is in a directory, whatever its name, but for the large file. */
export async function empty(path: string): Promise<void> {
  for (const name of await readdir(path, { encoding: 'buffer' })) {
    if (`${name}` !== BIG) rmSync(Buffer.concat([Buffer.from(`${path}/`), name]), { recursive: true });
  }
}
