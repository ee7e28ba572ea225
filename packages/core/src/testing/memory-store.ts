import { err, ok, type Result } from 'neverthrow';
import { copyTree } from '../backend/copy-tree.ts';
import { cancelled, orThrow, type StoreError } from '../backend/failures.ts';
import type { StepKey } from '../backend/names.ts';
import type {
  ActiveSnapshot,
  PrepareRequest,
  Snapshot,
  Store,
  StoreFeature,
  StoreFeatures,
  StoreWith,
  Usage,
} from '../backend/store.ts';
import { MemoryActive, type MemoryTree } from './memory-active.ts';
import { MemoryCaches } from './memory-caches.ts';
import { type MemoryDisk, type MemoryDiskOptions, memoryDisk } from './memory-disk.ts';
import { type HeldImage, MemoryImages } from './memory-images.ts';
import { MemoryMounts } from './memory-mounts.ts';
import { MemoryPlacement } from './memory-placement.ts';
import { MemoryTransfer } from './memory-transfer.ts';
import { makeVolumes } from './memory-volumes.ts';

/** A store for tests of programs that embed Snapstep, with the features `F`. */
export type MemoryStore<F extends StoreFeature = StoreFeature> = StoreWith<F> & {
  readonly name: 'memory';
  /** Volumes that are mounted now: 0 when nobody uses the store. */
  readonly mounted: number;
};

export interface MemoryStoreOptions<W extends StoreFeature = never> {
  /** Features that it shall not have, for tests of what is refused without them. Default: it has all. */
  readonly without?: readonly W[];
}

/**
 * A store that knows what it holds only in memory, and has every feature. The files are in a temporary directory,
 * because volumes are paths; it goes when the store is disposed. Privileges are needed only for files of other owners.
 *
 * - `quota` and `capacityBytes` are checked when a step is saved, not while it writes: `commit` answers `no-space`.
 *   A quota is how many bytes of content the files may grow by.
 * - `placement` puts a symbolic link at the path; see {@link MemoryPlacement}.
 * - `transfer` and `baseImages` send {@link FORMAT}. They need GNU tar; sockets are left out and holes filled.
 */
export async function memoryStore<W extends StoreFeature = never>(
  options: MemoryStoreOptions<W> & MemoryDiskOptions = {},
): Promise<MemoryStore<Exclude<StoreFeature, W>>> {
  const disk = await memoryDisk(options);
  const store = orThrow(await openMemoryStore(disk, options));
  const close = store[Symbol.asyncDispose].bind(store);
  return Object.assign(store, {
    [Symbol.asyncDispose]: async () => {
      await close();
      await disk[Symbol.asyncDispose]();
    },
  });
}

/** Opens the store of a disk that outlives it: what was active is gone, and what was saved is there. */
export async function openMemoryStore<W extends StoreFeature = never>(
  disk: MemoryDisk,
  { without = [] }: MemoryStoreOptions<W> = {},
): Promise<Result<MemoryStore<Exclude<StoreFeature, W>>, StoreError>> {
  if (disk.isOpen) {
    return err({ type: 'busy', message: `the memory disk ${disk.path} is in use by process ${process.pid}` });
  }
  disk.isOpen = true;
  await disk.wipe();
  const store: Store = new TemporaryStore(disk);
  for (const feature of without) delete (store as Partial<Record<StoreFeature, unknown>>)[feature];
  return ok(store as MemoryStore<Exclude<StoreFeature, W>>);
}

class TemporaryStore implements StoreWith<StoreFeature> {
  readonly name = 'memory';
  readonly caches: Store['caches'];
  readonly pairing: Store['pairing'];
  readonly placement: StoreFeatures['placement'];
  readonly baseImages: StoreFeatures['baseImages'];
  readonly quota: StoreFeatures['quota'] = {
    limit: (snapshot, bytes) => activeOf(snapshot).limit(bytes),
    isUsedUp: async (snapshot) => activeOf(snapshot).isUsedUp(),
  };
  readonly transfer: StoreFeatures['transfer'];
  readonly #disk: MemoryDisk;
  readonly #mounts = new MemoryMounts();
  readonly #images: MemoryImages;
  readonly #placed = new MemoryPlacement();
  #hasEnded = false;

  constructor(disk: MemoryDisk) {
    this.#disk = disk;
    this.pairing = disk.pairing;
    this.#images = new MemoryImages(disk, this.#mounts);
    this.caches = new MemoryCaches(disk, this.#mounts);
    this.transfer = new MemoryTransfer(disk, this.#mounts);
    this.baseImages = this.#images;
    this.placement = this.#placed;
  }

  get mounted(): number {
    return this.#mounts.count;
  }

  async lookup(key: StepKey): Promise<Result<Snapshot | undefined, StoreError>> {
    const names = this.#disk.snapshots.get(key);
    return ok(names && { key, volumes: this.#mounts.volumes(this.#disk.saved(key), names) });
  }

  async prepare({ key, from, signal }: PrepareRequest): Promise<Result<ActiveSnapshot, StoreError>> {
    if (signal.aborted) return err(cancelled(signal));
    const source = this.#source(from);
    if (source.isErr()) return err(source.error);
    const { path, volumes, held } = source.value;
    const tree = { path: this.#disk.fresh(), volumes };
    const made = await (path === undefined ? makeVolumes(tree) : copyTree(path, tree.path, { signal }));
    if (made.isOk() && !signal.aborted) return ok(this.#active(key, { tree, held }));
    await this.#disk.discard(tree.path);
    await held?.release();
    return err(made.isErr() ? made.error : cancelled(signal));
  }

  async remove(key: StepKey): Promise<Result<void, StoreError>> {
    this.#disk.snapshots.delete(key);
    const removed = await this.#disk.discard(this.#disk.saved(key));
    await this.#images.forget(key);
    return removed;
  }

  async reclaimed(): Promise<Result<void, StoreError>> {
    return ok();
  }

  async list(): Promise<Result<readonly StepKey[], StoreError>> {
    return ok([...this.#disk.snapshots.keys()]);
  }

  /** Nothing of it outlives the process. */
  async sync(): Promise<Result<void, StoreError>> {
    return ok();
  }

  async usage(): Promise<Result<Usage, StoreError>> {
    const bytes = await this.#disk.bytes();
    return bytes.map((found) => [
      { axis: 'bytes', ...found },
      { axis: 'objects', used: this.#disk.snapshots.size },
      { axis: 'mounts', used: this.mounted },
    ]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    await this.#placed[Symbol.asyncDispose]();
    this.#disk.isOpen = false;
  }

  #source(from: PrepareRequest['from']): Result<Source, StoreError> {
    if ('empty' in from) return ok({ volumes: from.empty });
    if ('baseImage' in from) {
      return this.#images.hold(from.baseImage).map((held) => ({ ...held.version, held }));
    }
    const key = from.snapshot;
    const volumes = this.#disk.snapshots.get(key);
    if (volumes) return ok({ volumes, path: this.#disk.saved(key) });
    return err({ type: 'not-found', key, message: `there is no snapshot ${key}` });
  }

  #active(
    key: StepKey,
    { tree, held }: { readonly tree: MemoryTree; readonly held: HeldImage | undefined },
  ): ActiveSnapshot {
    const path = this.#disk.saved(key);
    const save = async (): Promise<Result<Snapshot, StoreError>> => {
      const saved = await this.#disk.save(tree.path, path);
      if (saved.isErr()) return err(saved.error);
      this.#disk.snapshots.set(key, tree.volumes);
      if (held) this.#disk.madeFrom.set(key, held.version);
      return ok({ key, volumes: this.#mounts.volumes(path, tree.volumes) });
    };
    const onEnd = async (): Promise<void> => held?.release();
    return new MemoryActive({ disk: this.#disk, mounts: this.#mounts, tree, save, onEnd });
  }
}

/** Where a snapshot starts from: empty volumes where there is no path. */
interface Source {
  readonly volumes: MemoryTree['volumes'];
  readonly path?: string;
  readonly held?: HeldImage;
}

function activeOf(snapshot: ActiveSnapshot): MemoryActive<Snapshot> {
  if (snapshot instanceof MemoryActive) return snapshot;
  throw new TypeError('the snapshot is not one of a memory store');
}
