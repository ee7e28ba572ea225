import { setTimeout as delay } from 'node:timers/promises';
import { ok } from 'neverthrow';
import type { StoreFeatures } from '../../backend/store.ts';
import type { Mounted, Volume } from '../../backend/volume.ts';

/** Knows how many of the volumes that it wraps are mounted. */
export class MountCounter {
  count = 0;
  /** How long each unmount takes at least, in milliseconds. */
  lag = 0;
  readonly #originals = new WeakMap<Volume, Volume>();

  wrap(volume: Volume): Volume {
    const wrapped: Volume = {
      name: volume.name,
      mount: async () => (await volume.mount()).map((mounted) => this.#counted(mounted)),
    };
    this.#originals.set(wrapped, volume);
    return wrapped;
  }

  /** The features with a `placement` that knows wrapped volumes. */
  wrapFeatures(features: Partial<StoreFeatures> = {}): Partial<StoreFeatures> {
    const { placement } = features;
    if (placement === undefined) return features;
    return {
      ...features,
      placement: {
        mountAt: async (volume, target, options) => {
          const mounted = await placement.mountAt(this.#originals.get(volume) ?? volume, target, options);
          return mounted.isErr() ? mounted : ok(this.#counted(mounted.value));
        },
      },
    };
  }

  #counted(mounted: Mounted): Mounted {
    this.count += 1;
    let isMounted = true;
    return {
      path: mounted.path,
      [Symbol.asyncDispose]: async () => {
        if (this.lag > 0) await delay(this.lag);
        await mounted[Symbol.asyncDispose]();
        if (isMounted) this.count -= 1;
        isMounted = false;
      },
    };
  }
}
