import { chmod, chown, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  copyTree,
  err,
  type Mounted,
  type Owner,
  ok,
  type Result,
  type SharedMount,
  type StoreError,
  toHostPath,
  type Volume,
  type VolumeName,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { BOTTOM, INNER, type LayerIds } from './layers.ts';
import { overlayMount } from './overlay-mount.ts';
import { type Place, savedVolume } from './saved-volume.ts';

const debug = createDebug('snapstep:store-overlayfs');

export interface WritableOptions {
  readonly name: VolumeName;
  /** What to start from, or, for an empty volume, whose it is. */
  readonly from: LayerIds | Owner;
  /** So many layers are copied into one before another is put on them. */
  readonly maxLayers: number;
  readonly signal?: AbortSignal;
}

/** Makes a volume that gets the changes of one attempt. Ends by {@link WritableVolume.end}. */
export async function makeWritable(
  place: Place,
  options: WritableOptions,
): Promise<Result<WritableVolume, StoreError>> {
  const bottom = await place.layers.haveBottom();
  if (bottom.isErr()) return err(bottom.error);
  const lower = await lowerLayers(place, options);
  if (lower.isErr()) return err(lower.error);
  const volume = new WritableVolume(place, { name: options.name, lower: lower.value });
  const made = await volume.makeDirectories('uid' in options.from ? options.from : undefined);
  if (made.isOk()) return ok(volume);
  await volume.end();
  return err(made.error);
}

export class WritableVolume implements Volume {
  readonly name: VolumeName;
  readonly #place: Place;
  readonly #lower: LayerIds;
  readonly #directory: string;
  readonly #mount: SharedMount;

  /** @param lower - Layers that the caller holds; from now on the volume does. */
  constructor(place: Place, { name, lower }: { readonly name: VolumeName; readonly lower: LayerIds }) {
    const { layout } = place;
    this.name = name;
    this.#place = place;
    this.#lower = lower;
    this.#directory = layout.workspace.fresh();
    const target = join(this.#directory, 'merged');
    const writable = {
      upper: layout.fromLayers(this.#upper),
      work: layout.fromLayers(join(this.#directory, 'work')),
    };
    const overlay = { cwd: layout.layers, lower: [...lower, BOTTOM], writable, target };
    this.#mount = overlayMount(overlay, toHostPath(join(target, INNER)));
  }

  get #upper(): string {
    return join(this.#directory, 'upper');
  }

  /** @param owner - Given for a volume that starts empty. */
  async makeDirectories(owner: Owner | undefined): Promise<Result<void, StoreError>> {
    for (const name of ['', 'upper', 'work', 'merged']) {
      const made = await attempt(mkdir(join(this.#directory, name)));
      if (made.isErr()) return made;
    }
    if (owner === undefined) return ok();
    const inner = join(this.#upper, INNER);
    const steps = [() => mkdir(inner), () => chmod(inner, 0o755), () => chown(inner, owner.uid, owner.gid)];
    for (const step of steps) {
      const done = await attempt(step());
      if (done.isErr()) return done;
    }
    return ok();
  }

  mount(): Promise<Result<Mounted, StoreError>> {
    return this.#mount.mount();
  }

  /** Exact: whatever is changed in an overlay, a path of it comes up into the upper directory. */
  async changed(): Promise<Result<boolean, StoreError>> {
    return (await attempt(readdir(this.#upper))).map((names) => names.length > 0);
  }

  /** Makes a layer of the changes, as they are, with their whiteouts and opaque marks. The caller holds the answer. */
  async keep(): Promise<Result<LayerIds, StoreError>> {
    const { layers } = this.#place;
    const changed = await this.changed();
    if (changed.isErr()) return err(changed.error);
    const own = changed.value ? await layers.adopt(this.#upper) : ok(undefined);
    if (own.isErr()) return err(own.error);
    layers.hold(this.#lower);
    return ok(own.value === undefined ? this.#lower : [own.value, ...this.#lower]);
  }

  /**
   * Throws away what {@link keep} has not made a layer of, and takes the mount away from whoever has it: through it
   * the layer could be written to.
   */
  end(): Promise<void> {
    return this.#mount.closeNow(() => this.#cleanUp());
  }

  async #cleanUp(): Promise<void> {
    const { layout, layers } = this.#place;
    const released = await layers.release(this.#lower);
    const discarded = await layout.workspace.discard(this.#directory);
    for (const done of [released, discarded]) {
      if (done.isErr()) debug('left for the next open: %o', done.error);
    }
  }
}

/** The layers to lie on, held for the caller: those given, or one with the same files. */
async function lowerLayers(
  { layout, layers }: Place,
  { name, from, maxLayers, signal }: WritableOptions,
): Promise<Result<LayerIds, StoreError>> {
  if ('uid' in from) return ok([]);
  if (from.length < maxLayers) {
    layers.hold(from);
    return ok(from);
  }
  const flat = layout.workspace.fresh();
  const copied = await flatten(savedVolume({ layout, layers }, { name, ids: from }), {
    to: flat,
    ...(signal ? { signal } : {}),
  });
  const adopted = copied.isOk() ? await layers.adopt(flat) : err(copied.error);
  if (adopted.isOk()) return ok([adopted.value]);
  await layout.workspace.discard(flat);
  return err(adopted.error);
}

/** Copies what a volume looks like into one layer, in which no whiteout and no opaque mark is needed. */
async function flatten(
  volume: Volume,
  { to, signal }: { readonly to: string; readonly signal?: AbortSignal },
): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(to));
  if (made.isErr()) return made;
  const mounted = await volume.mount();
  if (mounted.isErr()) return err(mounted.error);
  await using files = mounted.value;
  return await copyTree(files.path, join(to, INNER), signal ? { signal } : {});
}
