import {
  detachBelow,
  err,
  failed,
  type HostPath,
  type Mounted,
  ok,
  type Result,
  type StoreError,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { mountOverlay, type Overlay, unmount } from './mount.ts';

const debug = createDebug('snapstep:store-overlayfs');

/**
 * One overlay, mounted while somebody leases it: two overlays must not share an upper directory, so whoever comes
 * second shares the mount. Mounting and unmounting happen one after the other.
 */
export class SharedMount {
  readonly #overlay: Overlay;
  readonly #path: HostPath;
  #leases = 0;
  #last: Promise<unknown> = Promise.resolve();
  #whenIdle: (() => Promise<void>) | undefined;

  /** @param path - What a lease gives: the target of the overlay, or something in it. */
  constructor(overlay: Overlay, path: HostPath) {
    this.#overlay = overlay;
    this.#path = path;
  }

  mount(): Promise<Result<Mounted, StoreError>> {
    return this.#inOrder(async () => {
      if (this.#whenIdle) return err(failed(`${this.#path} is gone: what it belonged to has ended`));
      const mounted = this.#leases === 0 ? await mountOverlay(this.#overlay) : ok();
      if (mounted.isErr()) return err(mounted.error);
      this.#leases += 1;
      return ok(this.#lease());
    });
  }

  /** Nobody else gets it. `whenIdle` is called once, when it is no longer mounted. */
  close(whenIdle: () => Promise<void>): Promise<void> {
    return this.#inOrder(async () => {
      this.#whenIdle = whenIdle;
      if (this.#leases === 0) await whenIdle();
    });
  }

  /** As {@link close}, but takes it away from those who lease it. */
  closeNow(whenIdle: () => Promise<void>): Promise<void> {
    return this.#inOrder(async () => {
      this.#whenIdle = async () => {};
      if (this.#leases > 0) await unmountInsistently(this.#overlay.target);
      this.#leases = 0;
      await whenIdle();
    });
  }

  #lease(): Mounted {
    let isHeld = true;
    const giveBack = async (): Promise<void> => {
      if (!isHeld || this.#leases === 0) return;
      isHeld = false;
      this.#leases -= 1;
      if (this.#leases > 0) return;
      await unmountInsistently(this.#overlay.target);
      await this.#whenIdle?.();
    };
    return { path: this.#path, [Symbol.asyncDispose]: () => this.#inOrder(giveBack) };
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}

/** What is in use is taken out of sight, and goes when its last user does (V1). */
async function unmountInsistently(target: string): Promise<void> {
  const unmounted = await unmount(target);
  if (unmounted.isOk()) return;
  const detached = await detachBelow(target);
  if (detached.isErr()) debug('still mounted: %o', detached.error);
}
