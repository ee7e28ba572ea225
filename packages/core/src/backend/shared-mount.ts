import { err, ok, type Result } from 'neverthrow';
import { failed, type StoreError } from './failures.ts';
import type { HostPath } from './names.ts';
import type { Mounted } from './volume.ts';

export interface SharedMountOptions {
  /** What a lease gives: the mount point, or something in it. */
  readonly path: HostPath;
  readonly mount: () => Promise<Result<void, StoreError>>;
  /** Takes it away also where it is in use, out of everybody's sight at least. Never rejects. */
  readonly unmount: () => Promise<void>;
}

/**
 * Something that is mounted while somebody leases it, for a volume of a store that mounts: whoever comes second shares
 * the mount, and the last one's dispose takes it away. Mounting and unmounting happen one after the other.
 *
 * A volume ends by {@link close} once it is saved, and by {@link closeNow} when it is thrown away.
 */
export class SharedMount {
  readonly #options: SharedMountOptions;
  #leases = 0;
  #last: Promise<unknown> = Promise.resolve();
  #whenIdle: (() => Promise<void>) | undefined;

  constructor(options: SharedMountOptions) {
    this.#options = options;
  }

  /** The lease of one; nothing is leased after a failure. */
  mount(): Promise<Result<Mounted, StoreError>> {
    return this.#inOrder(async () => {
      if (this.#whenIdle) return err(failed(`${this.#options.path} is gone: what it belonged to has ended`));
      const mounted = this.#leases === 0 ? await this.#options.mount() : ok();
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
      if (this.#leases > 0) await this.#options.unmount();
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
      await this.#options.unmount();
      await this.#whenIdle?.();
    };
    return { path: this.#options.path, [Symbol.asyncDispose]: () => this.#inOrder(giveBack) };
  }

  #inOrder<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#last.then(work);
    this.#last = result.catch(() => {});
    return result;
  }
}
