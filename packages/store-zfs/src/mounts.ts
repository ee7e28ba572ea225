import { mkdir, rmdir } from 'node:fs/promises';
import {
  attempt,
  detachBelow,
  err,
  failed,
  type HostPath,
  ok,
  type Result,
  type StoreError,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { whileBusy } from './backoff.ts';
import { withHolders } from './holders.ts';
import type { Layout } from './layout.ts';
import type { Zfs } from './zfs.ts';

const debug = createDebug('snapstep:store-zfs');

/** A dataset that is or was mounted, and what its property `mountpoint` is. */
export interface MountedDataset {
  dataset: string;
  mountpoint: string;
}

interface MountsParts {
  readonly layout: Layout;
  readonly zfs: Zfs;
  readonly maxMounts: number;
}

/** What is mounted by this opening of a store, and where. */
export class Mounts {
  readonly layout: Layout;
  readonly zfs: Zfs;
  readonly #most: number;
  readonly #at = new Map<HostPath, MountedDataset>();
  #closing: Promise<void> | undefined;

  constructor({ layout, zfs, maxMounts }: MountsParts) {
    this.layout = layout;
    this.zfs = zfs;
    this.#most = maxMounts;
  }

  get count(): number {
    return this.#at.size;
  }

  /** Mounts a dataset; `busy` if another one of ours is there, or too many are mounted. */
  async mount(
    one: MountedDataset,
    { path, readOnly }: { readonly path: HostPath; readonly readOnly: boolean },
  ): Promise<Result<void, StoreError>> {
    const there = this.#at.get(path);
    if (there !== undefined) return err({ type: 'busy', message: `${there.dataset} is mounted at ${path}` });
    if (this.#at.size >= this.#most) {
      const message = `${this.#at.size} volumes are mounted, and "maxMounts" allows no more: ${one.dataset}`;
      return err({ type: 'busy', message });
    }
    this.#at.set(path, one);
    const mounted = await this.#mount(one, { path, readOnly });
    if (mounted.isErr() && one.mountpoint === path && !this.isOurs(path)) await this.#unmountOnce(one, path);
    if (mounted.isOk() && this.#closing === undefined) return ok();
    if (mounted.isOk()) await this.#close(one, path);
    this.#at.delete(path);
    return mounted.isErr() ? mounted : err(failed('the store is closed'));
  }

  /**
   * Unmounts, and waits a little for what is busy. What stays mounted is an error that names who holds it. Once the
   * store is closed, what it mounted is gone: at the same place may be what the next opening mounted.
   */
  async unmount(one: MountedDataset, path: HostPath): Promise<Result<void, StoreError>> {
    if (this.#closing !== undefined) return ok(await this.#closing);
    const unmounted = await whileBusy(() => this.#unmountOnce(one, path));
    if (unmounted.isErr()) {
      return err(await withHolders(unmounted.error, { dataset: one.dataset, path }));
    }
    this.forget(path);
    return ok();
  }

  /**
   * Takes a place away although the dataset in it is in use. The dataset stays busy until its users end on Linux,
   * where nothing else can be done; elsewhere they lose it.
   */
  async detach(one: MountedDataset, path: HostPath): Promise<Result<void, StoreError>> {
    return this.#closing === undefined ? this.#detach(one, path) : ok(await this.#closing);
  }

  /** Unmounts what a killed owner left mounted, also where it is in use. */
  async takeBack({ dataset, mountpoint }: MountedDataset): Promise<Result<void, StoreError>> {
    const unmounted = await whileBusy(() => this.zfs.unmount(dataset));
    if (unmounted.isOk() || unmounted.error.type === 'stuck') return unmounted;
    debug('%s was left mounted, and is in use: %o', dataset, unmounted.error);
    return mountpoint.startsWith('/')
      ? this.#detach({ dataset, mountpoint }, mountpoint as HostPath)
      : unmounted;
  }

  /** Whether it is a place of the store's own choice. */
  isOurs(path: HostPath): boolean {
    return path.startsWith(`${this.layout.mounts}/`);
  }

  /** It was unmounted by other means, such as the end of the dataset. */
  forget(path: HostPath): void {
    this.#at.delete(path);
  }

  /** Takes away all there is. What cannot be taken away is found at the next open. */
  async close(): Promise<void> {
    this.#closing ??= this.#closeAll();
    await this.#closing;
  }

  async #closeAll(): Promise<void> {
    await Promise.all([...this.#at].map(([path, one]) => this.#close(one, path)));
    this.#at.clear();
  }

  async #close(one: MountedDataset, path: HostPath): Promise<void> {
    const unmounted = await this.#unmountOnce(one, path);
    const isBusy = unmounted.isErr() && unmounted.error.type !== 'stuck';
    const gone = isBusy ? await this.#detach(one, path) : unmounted;
    if (gone.isErr()) debug('left for the next open: %o', gone.error);
  }

  async #detach({ dataset }: MountedDataset, path: HostPath): Promise<Result<void, StoreError>> {
    const linux = process.platform === 'linux';
    const detached = await (linux ? detachBelow(path) : this.zfs.unmount(dataset, { force: true }));
    if (detached.isErr()) return detached;
    if (this.isOurs(path)) await attempt(rmdir(path));
    this.forget(path);
    return ok();
  }

  async #mount(
    one: MountedDataset,
    { path, readOnly }: { readonly path: HostPath; readonly readOnly: boolean },
  ): Promise<Result<void, StoreError>> {
    const made = await attempt(mkdir(path, { recursive: true }));
    if (made.isErr()) return err(made.error);
    if (one.mountpoint !== path) {
      const set = await this.zfs.set({ mountpoint: path }, one.dataset);
      if (set.isErr()) return set;
      one.mountpoint = path;
    }
    const mounted = await this.zfs.mount(one.dataset, { readOnly });
    if (mounted.isOk() || !isMountedAlready(mounted.error)) return mounted;
    // Nobody else is to mount it. Somebody did, or a command that did not end in time has ended since (Z14).
    const unmounted = await this.zfs.unmount(one.dataset);
    return unmounted.isErr() ? unmounted : this.zfs.mount(one.dataset, { readOnly });
  }

  async #unmountOnce(one: MountedDataset, path: HostPath): Promise<Result<void, StoreError>> {
    if (this.isOurs(path)) {
      const unmounted = await this.zfs.unmount(one.dataset);
      if (unmounted.isOk()) await attempt(rmdir(path));
      return unmounted;
    }
    // One process unmounts it and puts the property back.
    const reset = await this.zfs.set({ mountpoint: 'none' }, one.dataset);
    if (reset.isOk()) one.mountpoint = 'none';
    return reset;
  }
}

function isMountedAlready(error: StoreError): boolean {
  return error.type === 'failed' && error.message.includes('filesystem already mounted');
}
