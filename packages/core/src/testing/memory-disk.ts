import { randomUUID } from 'node:crypto';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type CacheId, type HostPath, type StepKey, toHostPath, type VolumeName } from '../backend/names.ts';
import { removeTree } from './directory-tree.ts';

/** What a memory store keeps when it is disposed, for tests in which a store is opened again. */
export class MemoryDisk implements AsyncDisposable {
  readonly path: HostPath;
  /** The volumes of each saved snapshot, which lie in `saved/KEY/`. */
  readonly snapshots: Map<StepKey, readonly VolumeName[]> = new Map();
  /** Where the newest version of each cache lies. */
  readonly caches: Map<CacheId, HostPath> = new Map();
  /** Whether a store has it open: there is one at a time. */
  isOpen = false;

  /** @param path - An empty directory that goes with the disk. */
  constructor(path: HostPath) {
    this.path = path;
  }

  /** A path for what is not saved yet. */
  fresh(): HostPath {
    return toHostPath(join(this.path, 'active', randomUUID()));
  }

  saved(name: string): HostPath {
    return toHostPath(join(this.path, 'saved', name));
  }

  /** Throws away everything that was not saved. */
  async wipe(): Promise<void> {
    await removeTree(join(this.path, 'active'));
    await mkdir(join(this.path, 'active'), { recursive: true, mode: 0o700 });
    await mkdir(join(this.path, 'saved'), { recursive: true, mode: 0o700 });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await removeTree(this.path);
  }
}

/** A disk in the directory for temporary files. */
export async function memoryDisk(): Promise<MemoryDisk> {
  return new MemoryDisk(toHostPath(await mkdtemp(join(tmpdir(), 'snapstep-memory-'))));
}
