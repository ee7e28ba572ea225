import { err, ok, type Result } from 'neverthrow';
import { cancelled, failed, type StoreError } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type { Snapshot, StoreFeatures, TransferOptions } from '../backend/store.ts';
import { pack, unpack } from './memory-archive.ts';
import type { MemoryDisk } from './memory-disk.ts';
import type { MemoryMounts } from './memory-mounts.ts';
import { decodeTree, encodeTree, FORMAT, readAll } from './tree-stream.ts';

type Transfer = StoreFeatures['transfer'];

/** Moves snapshots as {@link FORMAT} says. Needs GNU tar. Sockets are left out, and holes come out filled. */
export class MemoryTransfer implements Transfer {
  readonly format: string = FORMAT;
  readonly #disk: MemoryDisk;
  readonly #mounts: MemoryMounts;

  constructor(disk: MemoryDisk, mounts: MemoryMounts) {
    this.#disk = disk;
    this.#mounts = mounts;
  }

  async send(
    key: StepKey,
    options: TransferOptions,
  ): Promise<Result<ReadableStream<Uint8Array>, StoreError>> {
    const tar = await this.#pack(key, options);
    if (tar.isErr()) return err(tar.error);
    const since = await this.#packSince(options);
    return since.map((other) => ReadableStream.from(encodeTree(tar.value, other)));
  }

  async receive(
    key: StepKey,
    body: ReadableStream<Uint8Array>,
    options: TransferOptions,
  ): Promise<Result<Snapshot, StoreError>> {
    const since = await this.#packSince(options);
    if (since.isErr()) {
      await body.cancel(since.error);
      return err(since.error);
    }
    const stream = await readAll(body, options.signal);
    if (stream.isErr()) return err(stream.error);
    const tar = decodeTree(stream.value, since.value);
    if (tar.isErr()) return err(tar.error);
    if (this.#disk.snapshots.has(key)) return err(failed(`the snapshot ${key} is there already`));
    return this.#save(key, { tar: tar.value, signal: options.signal });
  }

  async #save(
    key: StepKey,
    options: { readonly tar: Buffer; readonly signal: AbortSignal },
  ): Promise<Result<Snapshot, StoreError>> {
    const tree = await unpack(this.#disk, options);
    if (tree.isErr()) return err(tree.error);
    const { path, volumes } = tree.value;
    const saved = await this.#disk.save(path, this.#disk.saved(key));
    if (saved.isErr()) {
      await this.#disk.discard(path);
      return err(saved.error);
    }
    this.#disk.snapshots.set(key, volumes);
    return ok({ key, volumes: this.#mounts.volumes(this.#disk.saved(key), volumes) });
  }

  async #packSince({ since, signal }: TransferOptions): Promise<Result<Buffer | undefined, StoreError>> {
    return since === undefined ? ok(undefined) : this.#pack(since, { signal });
  }

  async #pack(key: StepKey, { signal }: TransferOptions): Promise<Result<Buffer, StoreError>> {
    if (signal.aborted) return err(cancelled(signal));
    if (this.#disk.snapshots.has(key)) return pack(this.#disk, { path: this.#disk.saved(key), signal });
    return err({ type: 'not-found', key, message: `there is no snapshot ${key}` });
  }
}
