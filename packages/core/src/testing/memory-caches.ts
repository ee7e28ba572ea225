import { randomUUID } from 'node:crypto';
import { err, ok, type Result } from 'neverthrow';
import { copyTree } from '../backend/copy-tree.ts';
import { makeEmptyDirectory } from '../backend/empty-directory.ts';
import type { StoreError } from '../backend/failures.ts';
import { type CacheId, type HostPath, type Owner, toVolumeName } from '../backend/names.ts';
import type { CacheCopy, CacheVolumes } from '../backend/store.ts';
import type { MemoryDisk } from './memory-disk.ts';
import type { MemoryMounts } from './memory-mounts.ts';

/** The cache volumes of a memory disk. */
export class MemoryCaches implements CacheVolumes {
  readonly #disk: MemoryDisk;
  readonly #mounts: MemoryMounts;

  constructor(disk: MemoryDisk, mounts: MemoryMounts) {
    this.#disk = disk;
    this.#mounts = mounts;
  }

  async checkOut(id: CacheId, owner: Owner): Promise<Result<CacheCopy, StoreError>> {
    const path = this.#disk.fresh();
    const newest = this.#disk.caches.get(id);
    const made = await (newest === undefined
      ? makeEmptyDirectory(path, possibleOwner(owner))
      : copyTree(newest, path));
    if (made.isOk()) return ok(this.#copy(id, path));
    await this.#disk.discard(path);
    return err(made.error);
  }

  async remove(id: CacheId): Promise<Result<void, StoreError>> {
    const newest = this.#disk.caches.get(id);
    this.#disk.caches.delete(id);
    return newest === undefined ? ok() : this.#disk.discard(newest);
  }

  async list(): Promise<Result<readonly CacheId[], StoreError>> {
    return ok([...this.#disk.caches.keys()]);
  }

  #copy(id: CacheId, path: HostPath): CacheCopy {
    let hasEnded = false;
    return {
      volume: this.#mounts.volume(toVolumeName('cache'), path),
      changed: async () => ok(true),
      publish: async () => {
        if (hasEnded) throw new Error(`the copy of the cache "${id}" has ended`);
        const version = this.#disk.saved(`cache-${randomUUID()}`);
        const moved = await this.#disk.save(path, version);
        if (moved.isErr()) return moved;
        hasEnded = true;
        const old = this.#disk.caches.get(id);
        this.#disk.caches.set(id, version);
        return old === undefined ? ok() : this.#disk.discard(old);
      },
      [Symbol.asyncDispose]: async () => {
        if (hasEnded) return;
        hasEnded = true;
        await this.#disk.discard(path);
      },
    };
  }
}

/** Only root can give files away. */
function possibleOwner(owner: Owner): Owner | undefined {
  return process.getuid?.() === 0 ? owner : undefined;
}
