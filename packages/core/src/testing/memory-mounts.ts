import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok } from 'neverthrow';
import { type HostPath, toHostPath, type VolumeName } from '../backend/names.ts';
import { attempt } from '../backend/store-failure.ts';
import type { Volume, Volumes } from '../backend/volume.ts';

/** Volumes that are directories, and how many of them are in use. */
export class MemoryMounts {
  count = 0;

  volumes(path: HostPath, names: readonly VolumeName[]): Volumes {
    return new Map(names.map((name) => [name, this.volume(name, toHostPath(join(path, name)))]));
  }

  volume(name: VolumeName, path: HostPath): Volume {
    return {
      name,
      mount: async () => {
        const there = await attempt(stat(path));
        if (there.isErr()) return err(there.error);
        this.count += 1;
        let isMounted = true;
        return ok({
          path,
          [Symbol.asyncDispose]: async () => {
            if (isMounted) this.count -= 1;
            isMounted = false;
          },
        });
      },
    };
  }
}
