import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { failed, type StoreError } from './failures.ts';
import { isVolumeName, toHostPath, type VolumeName } from './names.ts';
import { attempt, attemptExisting } from './store-failure.ts';
import type { Mounted, Volume, Volumes } from './volume.ts';

/** A volume that is a directory: mounting it only hands out the path. */
export function directoryVolume(name: VolumeName, path: string): Volume {
  return {
    name,
    async mount(): Promise<Result<Mounted, StoreError>> {
      const stats = await attemptExisting(stat(path));
      if (stats.isErr()) return err(stats.error);
      if (stats.value === undefined) return err(failed(`${path} is gone: what it belonged to was removed`));
      return ok({ path: toHostPath(path), async [Symbol.asyncDispose]() {} });
    },
  };
}

/** The volumes of a snapshot: the directories in its directory. Whatever else somebody has put there is none. */
export async function volumesIn(directory: string): Promise<Result<Volumes, StoreError>> {
  const entries = await attempt(readdir(directory, { withFileTypes: true }));
  return entries.map((found) =>
    volumesOf(
      directory,
      found
        .filter((entry) => entry.isDirectory())
        .map(({ name }) => name)
        .filter(isVolumeName),
    ),
  );
}

export function volumesOf(directory: string, names: readonly VolumeName[]): Volumes {
  return new Map(names.map((name) => [name, directoryVolume(name, join(directory, name))]));
}
