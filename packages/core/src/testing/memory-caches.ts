import { randomUUID } from 'node:crypto';
import { chmod, chown, mkdir, rename } from 'node:fs/promises';
import { err, ok, type Result } from 'neverthrow';
import type { StoreError } from '../backend/failures.ts';
import { type CacheId, type HostPath, type Owner, toVolumeName } from '../backend/names.ts';
import type { CacheCopy, CacheVolumes } from '../backend/store.ts';
import { attempt } from '../backend/store-failure.ts';
import type { Volume } from '../backend/volume.ts';
import { copyTree, removeTree } from './directory-tree.ts';
import type { MemoryDisk } from './memory-disk.ts';

/** The cache volumes of a memory disk. */
export class MemoryCaches implements CacheVolumes {
  readonly #disk: MemoryDisk;
  readonly #volume: (path: HostPath) => Volume;

  constructor(disk: MemoryDisk, volume: (name: ReturnType<typeof toVolumeName>, path: HostPath) => Volume) {
    this.#disk = disk;
    this.#volume = (path) => volume(toVolumeName('cache'), path);
  }

  async checkOut(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    const path = this.#disk.fresh();
    const newest = this.#disk.caches.get(id);
    const made = await (newest === undefined ? makeDirectory(path, owner) : copyTree(newest, path));
    if (made.isOk()) return ok(this.#copy(id, path));
    await removeTree(path);
    return err(made.error);
  }

  async remove(id: CacheId): Promise<Result<void, StoreError>> {
    const newest = this.#disk.caches.get(id);
    this.#disk.caches.delete(id);
    return newest === undefined ? ok() : removeTree(newest);
  }

  async list(): Promise<Result<readonly CacheId[], StoreError>> {
    return ok([...this.#disk.caches.keys()]);
  }

  #copy(id: CacheId, path: HostPath): CacheCopy {
    let isPublished = false;
    return {
      volume: this.#volume(path),
      changed: async () => ok(true),
      publish: async () => {
        const version = this.#disk.saved(`cache-${randomUUID()}`);
        const moved = await attempt(rename(path, version));
        if (moved.isErr()) return moved;
        isPublished = true;
        const old = this.#disk.caches.get(id);
        this.#disk.caches.set(id, version);
        return old === undefined ? ok() : removeTree(old);
      },
      [Symbol.asyncDispose]: async () => {
        if (!isPublished) await removeTree(path);
      },
    };
  }
}

/** With mode 0755 whatever the umask. Who is not root can give it to nobody but himself. */
export async function makeDirectory(path: string, owner?: Owner): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(path, { recursive: true }).then(() => chmod(path, 0o755)));
  if (made.isErr() || owner === undefined || process.getuid?.() !== 0) return made;
  return attempt(chown(path, owner.uid, owner.gid));
}
