import type { Outcome, StoreError } from './failures.ts';
import type { PinnedImage } from './fetcher.ts';
import type { CacheId, HostPath, Owner, StepKey, VolumeName } from './names.ts';
import type { Pairing } from './pairing.ts';
import type { Mounted, Volume, Volumes } from './volume.ts';

/** A saved file-system state: immutable, and usable as a parent. */
export interface Snapshot {
  readonly key: StepKey;
  /** Read-only: writing to them fails. Where a store can only give plain directories, nobody writes to them. */
  readonly volumes: Volumes;
}

/**
 * A writable copy of a snapshot.
 *
 * It ends in one of two ways: {@link commit} keeps it, disposing it throws it away. Disposing after
 * a commit does nothing, so `await using` is always right.
 *
 * Either may come while a volume is still mounted. `commit` saves all that was written before it was called, also
 * through files that are still open, and nothing that is written later. From then on the path of such a mount means
 * nothing: it may be gone, or refuse to be written to. Its own dispose is called all the same, and does no harm.
 */
export interface ActiveSnapshot extends AsyncDisposable {
  readonly volumes: Volumes;
  /**
   * Saves all volumes at once, under the key given to {@link Store.prepare}.
   * When it fails, nothing is saved, and the dispose that follows throws everything away. Calling it twice is a bug,
   * and throws.
   */
  commit(): Outcome<Snapshot, StoreError>;
}

export interface PrepareRequest {
  readonly key: StepKey;
  /** What to start from: a saved snapshot; fresh, empty volumes; or a base image the store holds itself. */
  readonly from:
    | { readonly snapshot: StepKey }
    | { readonly empty: readonly VolumeName[] }
    | { readonly baseImage: PinnedImage };
  readonly signal: AbortSignal;
}

/**
 * Keeps snapshots. This is what the author of a storage backend implements.
 *
 * The builder promises every backend:
 * - keys, names and owners are valid; keys are safe to use in file names;
 * - `prepare` is called only for a key that is not saved and not being prepared;
 * - a snapshot is removed only after its children, and never while it is in use;
 * - calls about different keys may run at the same time, calls about the same key never do.
 *
 * Every backend promises the builder:
 * - a key is visible to `lookup` only after `commit` succeeded, even across a crash;
 * - opening a store throws away everything that was active when the last process died;
 * - a method settles only when nothing it started is still running, also after an abort;
 * - what is mounted is what somebody leases, and no more;
 * - what was saved, published or removed before a call of `sync` is durable once that call succeeded;
 * - one process owns the store at a time: opening it a second time fails with `busy`.
 *
 * Disposing a store unmounts all that it mounted, also what is still leased, and gives up its ownership; what is active
 * then is thrown away now or when it is opened again. Callers dispose in the order of `await using`: a mount before
 * what it is a mount of, and that before the store. A program that ends early cannot always, so any order is harmless:
 * a dispose that comes after the dispose of the store, or of what it belongs to, does nothing and does not reject.
 *
 * Run `storeSuite` from `@snapstep/core/conformance` to check them.
 */
export interface Store extends Partial<StoreFeatures>, AsyncDisposable {
  /** Shown in messages, such as `zfs`. */
  readonly name: string;
  readonly caches: CacheVolumes;
  /** Kept beside the snapshots. A new store has none. */
  readonly pairing: Pairing;

  lookup(key: StepKey): Outcome<Snapshot | undefined, StoreError>;
  prepare(request: PrepareRequest): Outcome<ActiveSnapshot, StoreError>;
  /**
   * Removing what is not there succeeds. After an abort or a failure the snapshot is there, whole, or not at all.
   * One that others were made from may be refused with `busy`; they stay whole in any case.
   */
  remove(key: StepKey, signal?: AbortSignal): Outcome<void, StoreError>;
  /** Settles once the space of earlier removals is free again, so that prune does not overshoot. */
  reclaimed(signal?: AbortSignal): Outcome<void, StoreError>;
  /** Every saved snapshot, in any order. Used to bring the index in line after a crash. */
  list(): Outcome<readonly StepKey[], StoreError>;
  usage(): Outcome<Usage, StoreError>;
  /**
   * Makes durable what was saved, published or removed before the call: it is so after a power cut too. What is neither
   * durable nor older may be lost or damaged by one, also where `lookup` shows it; the builder does not count on it.
   *
   * The builder calls it every few seconds, beside other calls, and never while a step waits for it.
   */
  sync(): Outcome<void, StoreError>;
}

/** One thing that can run out. A store reports each that it knows: bytes, inodes, metadata, objects, mounts. */
export interface UsageAxis {
  readonly axis: 'bytes' | 'inodes' | 'metadata-bytes' | 'objects' | 'mounts';
  readonly used: number;
  /** Absent where nothing bounds it. */
  readonly total?: number;
}
export type Usage = readonly UsageAxis[];

/**
 * What only some stores can do. A store has a feature by having the property, so it cannot claim
 * one that it lacks.
 */
export interface StoreFeatures {
  /** Mounts a volume where the caller says, as macOS needs for a home directory. */
  readonly placement: {
    mountAt(volume: Volume, target: HostPath, options?: PlacementOptions): Outcome<Mounted, StoreError>;
  };
  /** Base images that live in the store as snapshots of their own, cloned instead of unpacked. */
  readonly baseImages: {
    /** `digest` identifies the content, so a rebuilt image of the same name gives other keys. */
    pin(name: string): Outcome<PinnedImage | undefined, StoreError>;
    list(): Outcome<readonly PinnedImage[], StoreError>;
    /**
     * Fresh, empty volumes to make an image in. Committing it replaces the image of that name at once, and whole;
     * snapshots that were made from the old one stay.
     */
    create(request: CreateImageRequest): Outcome<ActiveImage, StoreError>;
    /** Removing what is not there succeeds; `busy` while a saved or an active snapshot was made from it. */
    remove(name: string): Outcome<void, StoreError>;
    /** The image as a stream that a store of the same `transfer.format` can receive; its digest stays the same. */
    send(name: string, signal: AbortSignal): Outcome<ReadableStream<Uint8Array>, StoreError>;
    /** Replaces the image of that name, as {@link create} does; a stream that ends early changes nothing. */
    receive(
      name: string,
      body: ReadableStream<Uint8Array>,
      signal: AbortSignal,
    ): Outcome<PinnedImage, StoreError>;
  };
  /**
   * Keeps one active snapshot from filling the disk. One that has used up its bytes finds its volumes full, or `commit`
   * answers `no-space`.
   */
  readonly quota: {
    limit(snapshot: ActiveSnapshot, bytes: number): Outcome<void, StoreError>;
    /**
     * Whether it has used up what it was given, so that it is not the disk that is full. Also asked after a commit that
     * failed.
     */
    isUsedUp(snapshot: ActiveSnapshot): Outcome<boolean, StoreError>;
  };
  /** Moves snapshots between machines. */
  readonly transfer: {
    /** Two stores can exchange snapshots when their formats are equal, such as `zfs-send/1`. */
    readonly format: string;
    /** With `since`, a snapshot the receiver has, only what changed after it is sent. */
    send(key: StepKey, options: TransferOptions): Outcome<ReadableStream<Uint8Array>, StoreError>;
    receive(
      key: StepKey,
      body: ReadableStream<Uint8Array>,
      options: TransferOptions,
    ): Outcome<Snapshot, StoreError>;
  };
}

export interface PlacementOptions {
  /** Nobody can write to the volume at this place, root included. Default: false. */
  readonly readOnly?: boolean;
}

export interface CreateImageRequest {
  readonly name: string;
  readonly volumes: readonly VolumeName[];
  readonly signal: AbortSignal;
}

/** A base image that is being made. Disposing it throws it away, unless it was committed. */
export interface ActiveImage extends AsyncDisposable {
  readonly volumes: Volumes;
  /** Saves all volumes at once. When it fails, the image of that name is the one before. */
  commit(): Outcome<PinnedImage, StoreError>;
}

export interface TransferOptions {
  readonly since?: StepKey;
  readonly signal: AbortSignal;
}

export type StoreFeature = keyof StoreFeatures;
/** A store that certainly has the features `F`. */
export type StoreWith<F extends StoreFeature> = Store & Pick<StoreFeatures, F>;

/**
 * Cache volumes: directories that outlive builds, such as a package manager's downloads.
 *
 * The backend only copies and replaces. Who wins when two builds used the same cache is decided by
 * the builder, which also makes sure that calls about one `id` never overlap.
 */
export interface CacheVolumes {
  /** A private, writable copy of the newest version; empty and owned by `owner` if there is none. */
  checkOut(id: CacheId, owner: Owner): Outcome<CacheCopy, StoreError>;
  remove(id: CacheId): Outcome<void, StoreError>;
  list(): Outcome<readonly CacheId[], StoreError>;
}

/** Disposing it throws the copy away, unless it was published. */
export interface CacheCopy extends AsyncDisposable {
  readonly volume: Volume;
  /** False only if it is certain that nothing was written, so that publishing can be skipped. */
  changed(): Outcome<boolean, StoreError>;
  /**
   * Makes this copy the newest version. After a crash the cache is the old version, this one, or
   * empty; never a mixture.
   */
  publish(): Outcome<void, StoreError>;
}
