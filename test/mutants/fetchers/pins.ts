import { createHash, randomBytes } from 'node:crypto';
import { failed, ok, runCommand } from '@snapstep/core/backend';
import type { FetcherBreakage } from './breakage.ts';

/** From a name to a digest. */
export const pinBreakages: readonly FetcherBreakage[] = [
  {
    name: 'digest-of-the-name',
    breaks: 'content',
    first: ['gives another digest once a name means another image'],
    change: () => ({ pin: async (image) => ok({ ...image, digest: digestOf(image.name) }) }),
  },
  {
    name: 'digest-of-the-moment',
    breaks: 'stable',
    first: ['pins an image to a digest, and to the same one each time'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) =>
        (await fetcher.pin(image, signal, options)).map((pinned) => ({
          ...pinned,
          digest: digestOf(randomBytes(8).toString('hex')),
        })),
    }),
  },
  {
    name: 'short-digest',
    breaks: 'digests',
    first: ['pins an image to a digest, and to the same one each time'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) =>
        (await fetcher.pin(image, signal, options)).map((pinned) => ({
          ...pinned,
          digest: pinned.digest.slice(0, 19),
        })),
    }),
  },
  {
    name: 'name-of-its-own',
    breaks: 'pinned',
    first: ['pins an image to a digest, and to the same one each time'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) =>
        (await fetcher.pin(image, signal, options)).map((pinned) => ({
          ...pinned,
          name: `docker.io/library/${pinned.name}`,
        })),
    }),
  },
  {
    name: 'missing-is-failed',
    breaks: 'notFound',
    first: ['answers `image-not-found`'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) =>
        (await fetcher.pin(image, signal, options)).mapErr((error) =>
          error.type === 'image-not-found' ? failed('exit status 1') : error,
        ),
    }),
  },
  {
    name: 'pin-downloads',
    breaks: 'readsLittle',
    first: ['reads little'],
    change: ({ fetcher, filesOf }) => ({
      pin: async (image, signal, options) => {
        await runCommand('tar', ['-C', filesOf(image), '-cf', `${filesOf(image)}.tar`, '.']);
        return fetcher.pin(image, signal, options);
      },
    }),
  },
  {
    name: 'pin-hears-no-abort',
    breaks: 'cancelled',
    first: ['is cancelled, with the reason, where it is aborted before'],
    change: ({ fetcher }) => ({
      pin: (image, _, options) => fetcher.pin(image, new AbortController().signal, options),
    }),
  },
];

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
