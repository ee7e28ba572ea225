import { randomUUID } from 'node:crypto';
import { err, ok, type Result } from 'neverthrow';
import { cancelled, failed, type StoreError } from '../backend/failures.ts';
import type { PinnedImage } from '../backend/fetcher.ts';
import { hostPlatform } from '../backend/host-platform.ts';
import type { StepKey } from '../backend/names.ts';
import type { ActiveImage, CreateImageRequest, StoreFeatures } from '../backend/store.ts';
import { MemoryActive, type MemoryTree } from './memory-active.ts';
import { pack, unpack } from './memory-archive.ts';
import type { ImageVersion, MemoryDisk } from './memory-disk.ts';
import type { MemoryMounts } from './memory-mounts.ts';
import { makeVolumes } from './memory-volumes.ts';
import { decodeTree, digestOf, encodeTree, readAll } from './tree-stream.ts';

type ImageStore = StoreFeatures['baseImages'];

/** A version of an image that an active snapshot was made from. */
export interface HeldImage {
  readonly version: ImageVersion;
  release(): Promise<void>;
}

/** Images of this machine's platform. The digest is that of the archive that `send` sends, so it needs GNU tar. */
export class MemoryImages implements ImageStore {
  readonly #disk: MemoryDisk;
  readonly #mounts: MemoryMounts;
  readonly #held = new Set<HeldImage>();

  constructor(disk: MemoryDisk, mounts: MemoryMounts) {
    this.#disk = disk;
    this.#mounts = mounts;
  }

  hold(image: PinnedImage): Result<HeldImage, StoreError> {
    const version = this.#disk.images.get(image.name);
    if (version?.image.digest !== image.digest) {
      return err(failed(`the image "${image.name}" is no longer the one with the digest ${image.digest}`));
    }
    const held: HeldImage = {
      version,
      release: async () => {
        this.#held.delete(held);
        await this.#dropReplaced(version);
      },
    };
    this.#held.add(held);
    return ok(held);
  }

  /** A snapshot, which may have been made from an image, is gone. */
  async forget(key: StepKey): Promise<void> {
    const version = this.#disk.madeFrom.get(key);
    this.#disk.madeFrom.delete(key);
    if (version) await this.#dropReplaced(version);
  }

  async pin(name: string): Promise<Result<PinnedImage | undefined, StoreError>> {
    return ok(this.#disk.images.get(name)?.image);
  }

  async list(): Promise<Result<readonly PinnedImage[], StoreError>> {
    return ok([...this.#disk.images.values()].map(({ image }) => image));
  }

  async create({ name, volumes, signal }: CreateImageRequest): Promise<Result<ActiveImage, StoreError>> {
    if (signal.aborted) return err(cancelled(signal));
    const [disk, mounts] = [this.#disk, this.#mounts];
    const tree = { path: disk.fresh(), volumes };
    const made = await makeVolumes(tree);
    const save = () => this.#save(name, tree);
    if (made.isOk() && !signal.aborted) return ok(new MemoryActive({ disk, mounts, tree, save }));
    await disk.discard(tree.path);
    return err(made.isErr() ? made.error : cancelled(signal));
  }

  async remove(name: string): Promise<Result<void, StoreError>> {
    const disk = this.#disk;
    const version = disk.images.get(name);
    if (version === undefined) return ok();
    if (this.#isUsed(version)) {
      return err({ type: 'busy', message: `snapshots were made from the image "${name}"` });
    }
    disk.images.delete(name);
    return disk.discard(version.path);
  }

  async send(name: string, signal: AbortSignal): Promise<Result<ReadableStream<Uint8Array>, StoreError>> {
    if (signal.aborted) return err(cancelled(signal));
    const version = this.#disk.images.get(name);
    if (version === undefined) return err(failed(`there is no image "${name}"`));
    const tar = await pack(this.#disk, { path: version.path, signal });
    return tar.map((bytes) => ReadableStream.from(encodeTree(bytes)));
  }

  async receive(
    name: string,
    body: ReadableStream<Uint8Array>,
    signal: AbortSignal,
  ): Promise<Result<PinnedImage, StoreError>> {
    const stream = await readAll(body, signal);
    if (stream.isErr()) return err(stream.error);
    const tar = decodeTree(stream.value);
    if (tar.isErr()) return err(tar.error);
    const disk = this.#disk;
    const tree = await unpack(disk, { tar: tar.value, signal });
    if (tree.isErr()) return err(tree.error);
    const saved = await this.#save(name, tree.value);
    if (saved.isErr()) await disk.discard(tree.value.path);
    return saved;
  }

  async #save(name: string, { path, volumes }: MemoryTree): Promise<Result<PinnedImage, StoreError>> {
    const disk = this.#disk;
    const tar = await pack(disk, { path });
    if (tar.isErr()) return err(tar.error);
    const image = { name, platform: hostPlatform(), digest: digestOf(tar.value) };
    const version = { image, volumes, path: disk.saved(`image-${randomUUID()}`) };
    const saved = await disk.save(path, version.path);
    if (saved.isErr()) return err(saved.error);
    const old = disk.images.get(name);
    disk.images.set(name, version);
    if (old) await this.#dropReplaced(old);
    return ok(image);
  }

  /** Deletes a version that was replaced, once nothing is left that was made from it. */
  async #dropReplaced(version: ImageVersion): Promise<void> {
    const isNewest = this.#disk.images.get(version.image.name) === version;
    if (!isNewest && !this.#isUsed(version)) await this.#disk.discard(version.path);
  }

  #isUsed(version: ImageVersion): boolean {
    const isHeld = [...this.#held].some((held) => held.version === version);
    return isHeld || [...this.#disk.madeFrom.values()].includes(version);
  }
}
