import { err, ok, type Result } from 'neverthrow';
import type { StoreError } from '../backend/failures.ts';
import type { HostPath, VolumeName } from '../backend/names.ts';
import type { Volumes } from '../backend/volume.ts';
import { contentBytes } from './content-bytes.ts';
import type { MemoryDisk } from './memory-disk.ts';
import type { MemoryMounts } from './memory-mounts.ts';

/** A directory with one directory for each volume. */
export interface MemoryTree {
  readonly path: HostPath;
  readonly volumes: readonly VolumeName[];
}

interface ActiveParts<Saved> {
  readonly disk: MemoryDisk;
  readonly mounts: MemoryMounts;
  readonly tree: MemoryTree;
  /** Publishes the tree. After a failure it is where it was. */
  readonly save: () => Promise<Result<Saved, StoreError>>;
  /** Called once, when it has ended in either way. */
  readonly onEnd?: () => Promise<void>;
}

/** A snapshot or an image in the making. */
export class MemoryActive<Saved> implements AsyncDisposable {
  readonly volumes: Volumes;
  readonly #parts: ActiveParts<Saved>;
  #limit: { readonly bytes: number; readonly before: number } | undefined;
  #state: 'open' | 'committed' | 'disposed' = 'open';
  #isUsedUp = false;

  constructor(parts: ActiveParts<Saved>) {
    this.#parts = parts;
    this.volumes = parts.mounts.volumes(parts.tree.path, parts.tree.volumes);
  }

  async commit(): Promise<Result<Saved, StoreError>> {
    if (this.#state !== 'open') throw new Error(`commit was called on what is ${this.#state}`);
    this.#state = 'committed';
    const allowed = await this.#checkLimit();
    this.#isUsedUp = allowed.isErr();
    const saved = allowed.isOk() ? await this.#parts.save() : err(allowed.error);
    if (saved.isErr()) await this.#parts.disk.discard(this.#parts.tree.path);
    await this.#parts.onEnd?.();
    return saved;
  }

  /** From now on the files may grow by so many bytes. */
  async limit(bytes: number): Promise<Result<void, StoreError>> {
    const before = await contentBytes(this.#parts.tree.path);
    if (before.isErr()) return err(before.error);
    this.#limit = { bytes, before: before.value };
    return ok();
  }

  /** Whether the files have grown by more than they may; once it has ended, whether they had. */
  async isUsedUp(): Promise<Result<boolean, StoreError>> {
    if (this.#state !== 'open') return ok(this.#isUsedUp);
    const allowed = await this.#checkLimit();
    if (allowed.isErr() && allowed.error.type !== 'no-space') return err(allowed.error);
    return ok(allowed.isErr());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#state !== 'open') return;
    this.#state = 'disposed';
    await this.#parts.disk.discard(this.#parts.tree.path);
    await this.#parts.onEnd?.();
  }

  async #checkLimit(): Promise<Result<void, StoreError>> {
    if (this.#limit === undefined) return ok();
    const { bytes, before } = this.#limit;
    const after = await contentBytes(this.#parts.tree.path);
    if (after.isErr()) return err(after.error);
    const grown = after.value - before;
    if (grown <= bytes) return ok();
    return err({ type: 'no-space', message: `the limit is ${bytes} bytes, and the files grew by ${grown}` });
  }
}
