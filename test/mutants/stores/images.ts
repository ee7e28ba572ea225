import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import {
  type ActiveImage,
  ok,
  orThrow,
  type PinnedImage,
  type PrepareRequest,
  type Result,
  runCommand,
  type StepKey,
  type StoreError,
  type StoreFeatures,
} from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { fail, firstPath, onPrepare, patch, pathOf, replaceBy } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** Base images that the store holds. */
export const imageMutants: readonly Mutant[] = [
  storeMutant({
    name: 'image-known-before-commit',
    breaks: 'imageCommitted',
    seenBy: 'knows a base image only once it is committed',
    mutate(store) {
      const begun = new Map<string, PinnedImage>();
      patch(store.baseImages, (inner) => ({
        create(request) {
          const { name } = request;
          begun.set(name, { name, platform: 'linux/amd64', digest: 'sha256:0' });
          return inner.create(request);
        },
        pin: async (name) => (await inner.pin(name)).map((image) => image ?? begun.get(name)),
      }));
    },
  }),
  storeMutant({
    name: 'image-committed-by-dispose',
    breaks: 'imageDropped',
    seenBy: 'throws away a base image that was not committed',
    mutate: (store) =>
      onCreate(store.baseImages, (active) =>
        patch(active, (inner) => {
          let hasEnded = false;
          const commit = async () => {
            hasEnded = true;
            return inner.commit();
          };
          return { commit, [Symbol.asyncDispose]: async () => void (hasEnded || (await commit())) };
        }),
      ),
  }),
  storeMutant({
    name: 'image-digest-is-constant',
    breaks: 'imageDigest',
    seenBy: 'gives another digest to other content',
    mutate(store) {
      const digests = new Map<string, string>();
      const constant = (image: PinnedImage): PinnedImage => {
        digests.set(image.name, image.digest);
        return { ...image, digest: 'sha256:1' };
      };
      patch(store.baseImages, (inner) => ({
        pin: async (name) => (await inner.pin(name)).map((image) => image && constant(image)),
        list: async () => (await inner.list()).map((images) => images.map(constant)),
      }));
      onCreate(store.baseImages, (active) =>
        patch(active, (inner) => ({ commit: async () => (await inner.commit()).map(constant) })),
      );
      patch(store, (inner) => ({
        prepare: ({ from, ...request }) => inner.prepare({ ...request, from: withDigest(from, digests) }),
      }));
    },
  }),
  storeMutant({
    name: 'image-cloned-empty',
    breaks: 'imageCloned',
    seenBy: 'starts a snapshot with everything of its base image',
    mutate: (store) =>
      onPrepare(store, async ({ volumes }, { from }) => {
        if (!('baseImage' in from)) return;
        for (const volume of volumes.values()) {
          orThrow(await runCommand('find', [await pathOf(volume), '-mindepth', '1', '-delete']));
        }
      }),
  }),
  storeMutant({
    name: 'image-replaced-in-place',
    breaks: 'imageReplaced',
    seenBy: 'gives another digest to other content',
    mutate(store, { disk }) {
      const made: StepKey[] = [];
      onPrepare(store, (_, { key, from }) => 'baseImage' in from && made.push(key));
      onCreate(store.baseImages, (active) =>
        patch(active, (inner) => ({
          async commit() {
            const path = await firstPath(active.volumes);
            for (const key of made) {
              if (disk.snapshots.has(key)) await replaceBy(join(disk.saved(key), 'rootfs'), path, ['-a']);
            }
            return inner.commit();
          },
        })),
      );
    },
  }),
  storeMutant({
    name: 'image-removal-fails-for-what-is-not-there',
    breaks: 'imageRemoved',
    seenBy: 'removes a base image, and what is not there',
    mutate: (store) =>
      patch(store.baseImages, (inner) => ({
        async remove(name) {
          const isThere = orThrow(await inner.pin(name)) !== undefined;
          return isThere ? inner.remove(name) : fail(`there is no image "${name}"`);
        },
      })),
  }),
  storeMutant({
    name: 'image-removed-while-in-use',
    breaks: 'imageBusy',
    seenBy: 'is `busy` to remove a base image',
    mutate: (store) =>
      patch(store.baseImages, (inner) => ({
        remove: async (name) => (await inner.remove(name)).orElse(() => ok()),
      })),
  }),
  storeMutant({
    name: 'any-image-of-the-name',
    breaks: 'imageMissing',
    seenBy: 'cannot start from a base image that is not there',
    mutate: (store) =>
      patch(store, (inner) => ({
        async prepare(request) {
          const { from } = request;
          if (!('baseImage' in from)) return inner.prepare(request);
          const newest = orThrow(await store.baseImages.pin(from.baseImage.name));
          return inner.prepare(newest ? { ...request, from: { baseImage: newest } } : request);
        },
      })),
  }),
  storeMutant({
    name: 'image-gets-a-new-digest',
    breaks: 'imageMoved',
    seenBy: 'another store receives it with the same digest',
    mutate: (store) =>
      patch(store.baseImages, (inner) => ({
        receive: async (name, body, signal) =>
          (await inner.receive(name, body, signal)).map((image) => ({
            ...image,
            digest: `sha256:${randomBytes(32).toString('hex')}`,
          })),
      })),
  }),
  storeMutant({
    name: 'first-volume-of-an-image-sent',
    breaks: 'imageMoved',
    seenBy: 'sends every volume of a base image',
    mutate: (store, { disk }) =>
      patch(store.baseImages, (inner) => ({
        async receive(name, body, signal) {
          const received = await inner.receive(name, body, signal);
          const version = disk.images.get(name);
          if (version) disk.images.set(name, { ...version, volumes: version.volumes.slice(0, 1) });
          return received;
        },
      })),
  }),
  storeMutant({
    name: 'image-made-after-an-abort',
    breaks: 'cancelled',
    seenBy: 'makes, sends and receives no base image where it is aborted before',
    mutate: (store) =>
      patch(store.baseImages, (inner) => ({
        create: (request) => inner.create({ ...request, signal: new AbortController().signal }),
      })),
  }),
  storeMutant({
    name: 'image-dropped-before-it-is-received',
    breaks: 'imageCut',
    seenBy: 'receives nothing of a stream that ends early',
    mutate: (store, { disk }) =>
      patch(store.baseImages, (inner) => ({
        receive(name, body, signal) {
          disk.images.delete(name);
          return inner.receive(name, body, signal);
        },
      })),
  }),
];

type Images = StoreFeatures['baseImages'];

function onCreate(images: Images, work: (active: ActiveImage) => unknown): void {
  patch(images, (inner) => ({
    async create(request): Promise<Result<ActiveImage, StoreError>> {
      const created = await inner.create(request);
      if (created.isOk()) work(created.value);
      return created;
    },
  }));
}

function withDigest(
  from: PrepareRequest['from'],
  digests: ReadonlyMap<string, string>,
): PrepareRequest['from'] {
  if (!('baseImage' in from)) return from;
  const { baseImage } = from;
  return { baseImage: { ...baseImage, digest: digests.get(baseImage.name) ?? baseImage.digest } };
}
