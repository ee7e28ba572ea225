import { createHash, randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  type CacheId,
  err,
  failed,
  type HostPath,
  ok,
  type Result,
  type StepKey,
  type StoreError,
  toHostPath,
  type VolumeName,
} from '@snapstep/core/backend';
import { componentFor } from './dataset-name.ts';

/** The name of the snapshot that makes what it is a snapshot of complete. */
export const SNAP = 'snap';

/** `/result/`, a key, `/`, a volume's name, `@snap`: so much must fit behind the name of the store's dataset. */
const LONGEST = 255 - '/result/'.length - 64 - 1 - 32 - `@${SNAP}`.length;

/** Where things are: datasets, and directories of the host. */
export class Layout {
  readonly dataset: string;
  /** `result/KEY/VOLUME` */
  readonly results: string;
  /** `cache/ID/vNUMBER` */
  readonly caches: string;
  /** Copies of caches that are in use. */
  readonly cacheCopies: string;
  /** `base-image/NAME/vNUMBER/VOLUME` */
  readonly images: string;
  /** What is being made or taken away. */
  readonly trash: string;
  /** A directory of the host for the lock and the mount points. */
  readonly directory: HostPath;
  readonly #session = randomBytes(4).toString('hex');
  #attempts = 0;

  constructor(dataset: string, directory: HostPath) {
    this.dataset = dataset;
    this.directory = directory;
    this.results = `${dataset}/result`;
    this.caches = `${dataset}/cache`;
    this.cacheCopies = `${dataset}/cache-tmp`;
    this.images = `${dataset}/base-image`;
    this.trash = `${dataset}/trash`;
  }

  get containers(): readonly string[] {
    return [this.results, this.caches, this.cacheCopies, this.images, this.trash];
  }

  get mounts(): string {
    return join(this.directory, 'mnt');
  }

  result(key: StepKey): string {
    return `${this.results}/${key}`;
  }

  image(name: string): Result<string, StoreError> {
    return componentFor(name, `${this.images}/v00000000/${'x'.repeat(32)}@${SNAP}`).map(
      (component) => `${this.images}/${component}`,
    );
  }

  /** The dataset of a cache's versions. An id that would be too long is hashed, and kept as a property. */
  cache(id: CacheId): { readonly dataset: string; readonly isHashed: boolean } {
    const component = componentFor(id, `${this.caches}/v00000000@v00000000`);
    const hash = createHash('sha256').update(id).digest('hex');
    return {
      dataset: `${this.caches}/${component.unwrapOr(`h-${hash}`)}`,
      isHashed: component.isErr(),
    };
  }

  /** A name below a container that nothing else ever has. */
  attempt(container: string): string {
    return `${container}/${this.#nextAttempt()}`;
  }

  /** A mount point that nothing else ever has. */
  mountPoint(): HostPath {
    return toHostPath(join(this.mounts, this.#nextAttempt()));
  }

  #nextAttempt(): string {
    this.#attempts += 1;
    return `${this.#session}-${this.#attempts.toString(36)}`;
  }
}

/** What every dataset with files gets: it is mounted by {@link Mounts} alone. */
export function volumeProperties(mountpoint: string): { canmount: string; mountpoint: string } {
  return { canmount: 'noauto', mountpoint };
}

export function snapshotOf(dataset: string): string {
  return `${dataset}@${SNAP}`;
}

export function volumeOf(dataset: string, name: VolumeName): string {
  return `${dataset}/${name}`;
}

export function isBelowAny(name: string, containers: readonly string[]): boolean {
  return containers.some((container) => name.startsWith(`${container}/`));
}

/** ZFS takes names of at most 255 bytes. */
export function checkLength(dataset: string): Result<void, StoreError> {
  if (dataset.length <= LONGEST) return ok();
  return err(failed(`"${dataset}" is too long for a store: its name may have ${LONGEST} characters`));
}
