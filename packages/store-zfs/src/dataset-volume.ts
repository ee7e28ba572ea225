import { chown } from 'node:fs/promises';
import {
  attempt,
  err,
  failed,
  type HostPath,
  type Mounted,
  type Owner,
  ok,
  type Result,
  type StoreError,
  type Volume,
  type VolumeName,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { snapshotOf } from './layout.ts';
import type { MountedDataset, Mounts } from './mounts.ts';

const debug = createDebug('snapstep:store-zfs');

interface VolumeParts {
  readonly name: VolumeName;
  readonly dataset: string;
  /** What the property is. */
  readonly mountpoint: string;
  /** Whether what is mounted can be written to. */
  readonly isWritable: boolean;
  /** Of a saved volume: whether something was written after the snapshot. */
  readonly isTouched?: boolean;
  /** Of an empty volume: whose it will be. */
  readonly owner?: Owner;
}

/** One dataset, mounted at one place while somebody leases it. Its mounts and unmounts come one after the other. */
export class DatasetVolume implements Volume {
  readonly name: VolumeName;
  readonly #mounts: Mounts;
  readonly #state: MountedDataset;
  #owner: Owner | undefined;
  #isWritable: boolean;
  #isTouched: boolean;
  #leases = 0;
  /** Counts up when its leases are taken away. */
  #epoch = 0;
  /** While it is being saved: whether it was mounted then, for however short a time. */
  #wasOpen = false;
  #wasMounted = false;
  /** Somebody may still write to it, though it is mounted nowhere. */
  #wasDetached = false;
  #isClosed = false;
  /** Where it is mounted. It may be while nobody leases it, if it could not be unmounted. */
  #path: HostPath | undefined;
  /** An unmount did not end in time, and may have ended since. */
  #isUnsure = false;
  #last: Promise<unknown> = Promise.resolve();

  constructor(mounts: Mounts, parts: VolumeParts) {
    this.name = parts.name;
    this.#mounts = mounts;
    this.#state = { dataset: parts.dataset, mountpoint: parts.mountpoint };
    this.#isWritable = parts.isWritable;
    this.#isTouched = parts.isTouched ?? false;
    this.#owner = parts.owner;
  }

  get dataset(): string {
    return this.#state.dataset;
  }

  /** Whether somebody may be writing to it right now. */
  get mayBeWritten(): boolean {
    return this.#path !== undefined || this.#wasDetached;
  }

  /** False as long as certainly nothing was written to it. */
  get wasMounted(): boolean {
    return this.#wasMounted;
  }

  mount(): Promise<Result<Mounted, StoreError>> {
    return this.#inOrder(async () => {
      if (this.#isClosed) return this.#gone();
      const known = await this.#makeSure();
      if (known.isErr()) return err(known.error);
      const mounted = this.#path === undefined ? await this.#mount(this.#privatePlace()) : ok();
      return mounted.map(() => this.#lease());
    });
  }

  /** As {@link mount}, but at a place that the caller names; `busy` if it is mounted already. */
  mountAt(
    path: HostPath,
    { readOnly = false }: { readonly readOnly?: boolean } = {},
  ): Promise<Result<Mounted, StoreError>> {
    return this.#inOrder(async () => {
      if (this.#isClosed) return this.#gone();
      const known = await this.#makeSure();
      if (known.isErr()) return err(known.error);
      if (this.#path !== undefined)
        return err({ type: 'busy', message: `${this.dataset} is mounted at ${this.#path}` });
      return (await this.#mount(path, readOnly)).map(() => this.#lease());
    });
  }

  /** Its snapshot is about to be taken. */
  beginSave(): void {
    this.#wasOpen = this.mayBeWritten;
  }

  /**
   * From now on it is read-only, and what it was when its snapshot was taken. Who has it mounted keeps it until somebody
   * else wants it; what he wrote then is rolled back before.
   */
  seal(): void {
    this.#isWritable = false;
    this.#isTouched = this.#wasOpen;
  }

  /** Nobody gets it any more, and who has it loses it. */
  close(): Promise<Result<void, StoreError>> {
    return this.#inOrder(async () => {
      this.#isClosed = true;
      this.#leases = 0;
      return this.#path === undefined ? ok() : this.#unmount(this.#path, true);
    });
  }

  async #mount(path: HostPath, readOnly = false): Promise<Result<void, StoreError>> {
    if (this.#isTouched) {
      const rolledBack = await this.#mounts.zfs.rollback(snapshotOf(this.dataset));
      if (rolledBack.isErr()) return rolledBack;
      this.#isTouched = false;
    }
    const options = { path, readOnly: readOnly || !this.#isWritable };
    const mounted = await this.#mounts.mount(this.#state, options);
    if (mounted.isErr()) return mounted;
    this.#path = path;
    this.#wasMounted = true;
    this.#wasOpen = true;
    return this.#giveToOwner(path);
  }

  async #giveToOwner(path: HostPath): Promise<Result<void, StoreError>> {
    if (this.#owner === undefined) return ok();
    const given = await attempt(chown(path, this.#owner.uid, this.#owner.gid));
    if (given.isOk()) this.#owner = undefined;
    else await this.#unmount(path);
    return given;
  }

  #lease(): Mounted {
    this.#leases += 1;
    const epoch = this.#epoch;
    let isHeld = true;
    const path = this.#path as HostPath;
    const giveBack = async (): Promise<void> => {
      if (!isHeld || this.#isClosed || epoch !== this.#epoch) return;
      isHeld = false;
      this.#leases -= 1;
      if (this.#leases === 0) await this.#unmount(path);
    };
    return { path, [Symbol.asyncDispose]: () => this.#inOrder(giveBack) };
  }

  /** @param insist - Also where the caller named the place, which is in use. */
  async #unmount(path: HostPath, insist = false): Promise<Result<void, StoreError>> {
    const unmounted = await this.#mounts.unmount(this.#state, path);
    if (unmounted.isErr()) debug('%s is in use at %s: %o', this.dataset, path, unmounted.error);
    this.#isUnsure = unmounted.isErr() && unmounted.error.type === 'stuck';
    const mayDetach = !this.#isUnsure && (insist || this.#mounts.isOurs(path));
    const gone = unmounted.isOk() || !mayDetach ? unmounted : await this.#detach(path);
    if (gone.isOk()) this.#path = undefined;
    return gone;
  }

  async #makeSure(): Promise<Result<void, StoreError>> {
    if (this.#path === undefined) return ok();
    if (this.#isTouched && !this.#isUnsure) return this.#takeBack(this.#path);
    if (!this.#isUnsure) return ok();
    const mounted = await this.#mounts.zfs.get('mounted', this.dataset);
    if (mounted.isErr()) return err(mounted.error);
    this.#isUnsure = false;
    if (mounted.value === 'yes') return ok();
    this.#mounts.forget(this.#path);
    this.#path = undefined;
    return ok();
  }

  /** It is mounted as it was before it was sealed. */
  #takeBack(path: HostPath): Promise<Result<void, StoreError>> {
    this.#epoch += 1;
    this.#leases = 0;
    return this.#unmount(path, true);
  }

  #detach(path: HostPath): Promise<Result<void, StoreError>> {
    this.#wasDetached = true;
    return this.#mounts.detach(this.#state, path);
  }

  /** The same place each time, as long as the property says one. */
  #privatePlace(): HostPath {
    const { mountpoint } = this.#state;
    const { layout } = this.#mounts;
    return mountpoint.startsWith(`${layout.mounts}/`) ? (mountpoint as HostPath) : layout.mountPoint();
  }

  #gone(): Result<never, StoreError> {
    return err(failed(`${this.dataset} is gone: what it belonged to has ended`));
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** The volumes of one snapshot. */
export type DatasetVolumes = ReadonlyMap<VolumeName, DatasetVolume>;
