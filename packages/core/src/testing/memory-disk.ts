import { mkdir, mkdtemp, rename, statfs } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { orThrow, type StoreError } from '../backend/failures.ts';
import type { PinnedImage } from '../backend/fetcher.ts';
import { type CacheId, type HostPath, type StepKey, toHostPath, type VolumeName } from '../backend/names.ts';
import { type Pairing, pairingInMemory } from '../backend/pairing.ts';
import { removeTree } from '../backend/remove-tree.ts';
import { attempt } from '../backend/store-failure.ts';
import { Workspace } from '../backend/workspace.ts';
import { contentBytes } from './content-bytes.ts';

export interface MemoryDiskOptions {
  /**
   * How many bytes of content fit on it, for tests of a full disk. Snapshots, images and caches count whole, also what
   * a child has from its parent. Default: as many as the disk of the directory for temporary files has room for.
   */
  readonly capacityBytes?: number;
}

/** One version of a base image. A version that was replaced is kept as long as a snapshot was made from it. */
export interface ImageVersion {
  readonly image: PinnedImage;
  readonly volumes: readonly VolumeName[];
  readonly path: HostPath;
}

/** What a memory store keeps when it is disposed, for tests in which a store is opened again. */
export class MemoryDisk implements AsyncDisposable {
  readonly path: HostPath;
  readonly capacityBytes: number | undefined;
  /** The volumes of each saved snapshot, which lie in `saved/KEY/`. */
  readonly snapshots: Map<StepKey, readonly VolumeName[]> = new Map();
  /** Where the newest version of each cache lies. */
  readonly caches: Map<CacheId, HostPath> = new Map();
  readonly images: Map<string, ImageVersion> = new Map();
  /** The image that a saved snapshot was made from. */
  readonly madeFrom: Map<StepKey, ImageVersion> = new Map();
  readonly pairing: Pairing = pairingInMemory();
  /** Whether a store has it open: there is one at a time. */
  isOpen = false;
  #work: Workspace;
  #last: Promise<unknown> = Promise.resolve();

  /** @param path - An empty directory that goes with the disk. */
  constructor(path: HostPath, { capacityBytes }: MemoryDiskOptions = {}) {
    this.path = path;
    this.capacityBytes = capacityBytes;
    this.#work = this.#newWorkspace();
  }

  /** A path for what is not saved yet. */
  fresh(): HostPath {
    return toHostPath(this.#work.fresh());
  }

  saved(name: string): HostPath {
    return toHostPath(join(this.path, 'saved', name));
  }

  /** Throws away everything that was not saved. */
  async wipe(): Promise<void> {
    this.#work = this.#newWorkspace();
    orThrow(await this.#work.open());
    await mkdir(join(this.path, 'saved'), { recursive: true, mode: 0o700 });
  }

  /** Moves what is complete to where saved things lie, one after the other; `no-space` where it does not fit. */
  save(from: string, to: HostPath): Promise<Result<void, StoreError>> {
    const saving = this.#last.then(async () => {
      const fits = await this.#fits(from);
      return fits.isErr() ? fits : attempt(rename(from, to));
    });
    this.#last = saving.catch(() => {});
    return saving;
  }

  discard(path: string): Promise<Result<void, StoreError>> {
    return this.#work.discard(path);
  }

  /** The bytes of everything that is saved; without a capacity, what the disk below says. */
  async bytes(): Promise<Result<{ readonly used: number; readonly total: number }, StoreError>> {
    const total = this.capacityBytes;
    if (total !== undefined) return (await this.#savedBytes()).map((used) => ({ used, total }));
    const stats = await attempt(statfs(this.path));
    return stats.map(({ blocks, bfree, bsize }) => ({
      used: (blocks - bfree) * bsize,
      total: blocks * bsize,
    }));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.path);
  }

  async #fits(path: string): Promise<Result<void, StoreError>> {
    if (this.capacityBytes === undefined) return ok();
    const saved = await this.#savedBytes();
    if (saved.isErr()) return err(saved.error);
    const more = await contentBytes(path);
    if (more.isErr()) return err(more.error);
    if (saved.value + more.value <= this.capacityBytes) return ok();
    const message = `the memory disk has room for ${this.capacityBytes} bytes, not for ${saved.value} + ${more.value}`;
    return err({ type: 'no-space', message });
  }

  #savedBytes(): Promise<Result<number, StoreError>> {
    return contentBytes(join(this.path, 'saved'));
  }

  #newWorkspace(): Workspace {
    return new Workspace({ path: join(this.path, 'active') });
  }
}

/** A disk in the directory for temporary files. */
export async function memoryDisk(options: MemoryDiskOptions = {}): Promise<MemoryDisk> {
  return new MemoryDisk(toHostPath(await mkdtemp(join(tmpdir(), 'snapstep-memory-'))), options);
}
