import { createHash } from 'node:crypto';
import {
  type ActiveImage,
  type CreateImageRequest,
  cancelled,
  err,
  failed,
  hostPlatform,
  ok,
  type PinnedImage,
  type Result,
  type StoreError,
  type StoreFeatures,
  type VolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { hasDependents } from './commands.ts';
import type { Inventory } from './inventory.ts';
import { snapshotOf, volumeOf } from './layout.ts';
import type { Place } from './place.ts';
import { receiveVolumes, sendVolumes } from './streams.ts';
import { makeWorkingCopy, type WorkingCopy } from './working-copy.ts';

const debug = createDebug('snapstep:store-zfs');

interface Image {
  readonly pinned: PinnedImage;
  /** `base-image/NAME/vNUMBER` */
  readonly dataset: string;
  readonly volumes: readonly VolumeName[];
}

/**
 * Images are datasets `base-image/NAME/vNUMBER`, of which the newest counts: a rename publishes it. An older one goes
 * when nothing is cloned from it any more.
 */
export class BaseImages {
  readonly #place: Place;
  readonly #images = new Map<string, Image>();
  #nextVersion: number;

  constructor(place: Place, { images, nextVersion }: Inventory) {
    this.#place = place;
    this.#nextVersion = nextVersion;
    for (const [name, { version, volumes }] of images) {
      const guids = new Map(volumes.map((volume) => [volume.name, volume.guid]));
      this.#images.set(name, imageOf(name, { dataset: version.dataset, guids }));
    }
  }

  /** For each the dataset of its name, that of its version and those of its volumes, and their snapshots. */
  get objects(): number {
    return [...this.#images.values()].reduce((sum, { volumes }) => sum + 3 + 2 * volumes.length, 0);
  }

  /** The datasets of an image's volumes; undefined if it is not, or no longer, that one. */
  volumes({ name, digest }: PinnedImage): ReadonlyMap<VolumeName, string> | undefined {
    const image = this.#images.get(name);
    if (image?.pinned.digest !== digest) return undefined;
    return new Map(image.volumes.map((volume) => [volume, volumeOf(image.dataset, volume)]));
  }

  readonly pin: StoreFeatures['baseImages']['pin'] = async (name) => ok(this.#images.get(name)?.pinned);

  readonly list: StoreFeatures['baseImages']['list'] = async () =>
    ok([...this.#images.values()].map(({ pinned }) => pinned));

  readonly create: StoreFeatures['baseImages']['create'] = async (request: CreateImageRequest) => {
    const { layout } = this.#place;
    const named = layout.image(request.name);
    if (named.isErr()) return err(named.error);
    const volumes = new Map(request.volumes.map((name) => [name, undefined]));
    const dataset = layout.attempt(layout.trash);
    const copy = await makeWorkingCopy(this.#place, { dataset, volumes, signal: request.signal });
    return copy.map((made) => new DatasetImage(this, { name: request.name, copy: made }));
  };

  readonly remove: StoreFeatures['baseImages']['remove'] = async (name) => {
    const { layout, trash } = this.#place;
    const container = layout.image(name);
    if (container.isErr() || !this.#images.has(name)) return ok();
    await trash.sweep();
    const destroyed = await trash.destroy(container.value);
    if (destroyed.isErr() && hasDependents(destroyed.error)) {
      return err({ type: 'busy', message: `a snapshot was made from the base image "${name}"` });
    }
    // Part of it may be destroyed.
    this.#images.delete(name);
    return destroyed.isOk() ? ok() : trash.hide(container.value, destroyed.error);
  };

  readonly send: StoreFeatures['baseImages']['send'] = async (name, signal) => {
    if (signal.aborted) return err(cancelled(signal));
    const image = this.#images.get(name);
    if (image === undefined) return err(failed(`there is no base image "${name}"`));
    const volumes = image.volumes.map((volume) => ({
      name: volume,
      snapshot: snapshotOf(volumeOf(image.dataset, volume)),
    }));
    return ok(sendVolumes(this.#place, { volumes, signal }));
  };

  readonly receive: StoreFeatures['baseImages']['receive'] = async (name, body, signal) => {
    const { layout, trash, zfs } = this.#place;
    const named = layout.image(name);
    if (named.isErr() || signal.aborted) {
      await body.cancel().catch(() => {});
      return named.isErr() ? err(named.error) : err(cancelled(signal));
    }
    const received = await receiveVolumes(this.#place, { body, signal });
    if (received.isErr()) return err(received.error);
    const { dataset, volumes } = received.value;
    const properties = { 'snapstep:volumes': [...volumes.keys()].join(',') };
    const snapped = await zfs.snapshot(snapshotOf(dataset), { properties });
    const published = snapped.isOk() ? await this.publish(name, dataset) : err(snapped.error);
    if (published.isErr()) await trash.discard(dataset);
    return published;
  };

  /** Makes a dataset with its snapshots, none of which is mounted, the image of that name. */
  async publish(name: string, dataset: string): Promise<Result<PinnedImage, StoreError>> {
    const { layout, zfs, trash } = this.#place;
    const container = layout.image(name);
    if (container.isErr()) return err(container.error);
    const guids = await this.#guidsOf(dataset);
    if (guids.isErr()) return err(guids.error);
    const version = `${container.value}/v${this.#nextVersion++}`;
    const published = await zfs.publish(dataset, version);
    if (published.isErr()) return err(published.error);
    const old = this.#images.get(name);
    const image = imageOf(name, { dataset: version, guids: guids.value });
    this.#images.set(name, image);
    const discarded = old ? await trash.discard(old.dataset) : ok();
    if (discarded.isErr()) debug('%s stays: %o', old?.dataset, discarded.error);
    return ok(image.pinned);
  }

  async #guidsOf(dataset: string): Promise<Result<ReadonlyMap<VolumeName, string>, StoreError>> {
    const rows = await this.#place.zfs.list(dataset);
    const suffix = snapshotOf('');
    return rows.map((all) => {
      const volumes = all.filter(({ name }) => name.startsWith(`${dataset}/`) && name.endsWith(suffix));
      const nameOf = (name: string) => name.slice(dataset.length + 1, -suffix.length) as VolumeName;
      return new Map(volumes.map(({ name, guid }) => [nameOf(name), guid]));
    });
  }
}

class DatasetImage implements ActiveImage {
  readonly volumes: Volumes;
  readonly #images: BaseImages;
  readonly #name: string;
  readonly #copy: WorkingCopy;

  constructor(images: BaseImages, parts: { readonly name: string; readonly copy: WorkingCopy }) {
    this.volumes = parts.copy.volumes;
    this.#images = images;
    this.#name = parts.name;
    this.#copy = parts.copy;
  }

  async commit(): Promise<Result<PinnedImage, StoreError>> {
    if (this.#copy.hasEnded)
      throw new Error(`the image "${this.#name}" has already been committed or disposed`);
    const saved = await this.#copy.save();
    if (saved.isErr()) return err(saved.error);
    const closed = await this.#copy.close();
    const published = closed.isOk()
      ? await this.#images.publish(this.#name, this.#copy.dataset)
      : err(closed.error);
    if (published.isErr()) await this.#copy.discard();
    return published;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#copy.drop();
  }
}

/** The guid of a snapshot goes with it wherever it is sent, and no other has it. */
function imageOf(
  name: string,
  { dataset, guids }: { readonly dataset: string; readonly guids: ReadonlyMap<VolumeName, string> },
): Image {
  const lines = [...guids]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([volume, guid]) => `${volume} ${guid}\n`);
  const digest = `sha256:${createHash('sha256').update(lines.join('')).digest('hex')}`;
  return { pinned: { name, platform: hostPlatform(), digest }, dataset, volumes: [...guids.keys()] };
}
