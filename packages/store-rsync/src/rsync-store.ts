import { mkdir, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ActiveSnapshot,
  attempt,
  attemptExisting,
  type CacheVolumes,
  err,
  failed,
  isStepKey,
  type OwnerLock,
  ok,
  type PrepareRequest,
  type Result,
  type Snapshot,
  type StepKey,
  type Store,
  type StoreError,
  type Usage,
  type VolumeName,
  volumesIn,
} from '@snapstep/core/backend';
import { DirectoryActive } from './active-snapshot.ts';
import { DirectoryCaches } from './cache-volumes.ts';
import type { CopyTree } from './copy-tree.ts';
import { makeEmptyDirectory } from './empty-directory.ts';
import type { Layout } from './layout.ts';
import { diskUsage } from './usage.ts';

export interface RsyncStoreParts {
  readonly layout: Layout;
  readonly lock: OwnerLock;
  readonly copy: CopyTree;
  readonly linkIdentical: boolean;
}

/** Each method as {@link Store} says. */
export class RsyncStore implements Store {
  readonly name = 'rsync';
  readonly caches: CacheVolumes;
  readonly #parts: RsyncStoreParts;

  constructor(parts: RsyncStoreParts) {
    this.#parts = parts;
    this.caches = new DirectoryCaches(parts);
  }

  async lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    const directory = this.#parts.layout.snapshot(key);
    const stats = await attemptExisting(stat(directory));
    if (stats.isErr()) return err(stats.error);
    if (stats.value === undefined) return ok(undefined);
    return (await volumesIn(directory)).map((volumes) => ({ key, volumes }));
  }

  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    const { layout, linkIdentical } = this.#parts;
    const directory = layout.attempt(key);
    const parent = 'snapshot' in from ? from.snapshot : undefined;
    const filled =
      'snapshot' in from
        ? await this.#copyParent(from.snapshot, { directory, signal })
        : 'empty' in from
          ? await makeEmptyVolumes(directory, from.empty)
          : err(failed('this store holds no base images of its own'));
    const volumes = filled.isOk() ? await volumesIn(directory) : err(filled.error);
    if (volumes.isOk()) {
      const linkTo = linkIdentical ? parent : undefined;
      return ok(new DirectoryActive({ layout, key, directory, volumes: volumes.value, linkTo }));
    }
    await layout.discard(directory);
    return err(volumes.error);
  }

  async remove(key: StepKey, signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return this.#parts.layout.discard(this.#parts.layout.snapshot(key), signal);
  }

  async reclaimed(signal?: AbortSignal): Promise<Result<void, StoreError>> {
    return this.#parts.layout.finishDiscards(signal);
  }

  async list(): Promise<Result<readonly StepKey[], StoreError>> {
    return (await attempt(readdir(this.#parts.layout.result))).map((names) => names.filter(isStepKey));
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    return diskUsage(this.#parts.layout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#parts.lock[Symbol.asyncDispose]();
  }

  async #copyParent(
    parent: StepKey,
    options: { readonly directory: string; readonly signal: AbortSignal },
  ): Promise<Result<void, StoreError>> {
    const { layout, copy } = this.#parts;
    const stats = await attemptExisting(stat(layout.snapshot(parent)));
    if (stats.isErr()) return err(stats.error);
    if (stats.value === undefined) {
      return err({ type: 'not-found', key: parent, message: `there is no snapshot ${parent}` });
    }
    return copy(layout.snapshot(parent), options.directory, { signal: options.signal });
  }
}

async function makeEmptyVolumes(
  directory: string,
  names: readonly VolumeName[],
): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(directory));
  if (made.isErr()) return err(made.error);
  for (const name of names) {
    const volume = await makeEmptyDirectory(join(directory, name));
    if (volume.isErr()) return volume;
  }
  return ok();
}
