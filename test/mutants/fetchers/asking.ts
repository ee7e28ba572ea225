import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { failed, ok, orThrow, type PinnedImage } from '@snapstep/core/backend';
import type { FetcherBreakage } from './breakage.ts';

/** Who is asked for images. */
export const askingBreakages: readonly FetcherBreakage[] = [
  {
    name: 'forgets-what-a-name-meant',
    breaks: 'remembered',
    first: ['pins to the last digest, with a note, where nobody answers'],
    change: ({ fetcher }) => ({
      pin: (image, signal, options) =>
        fetcher.pin(image, signal, options?.pull === 'never' ? options : { ...options, pull: 'always' }),
    }),
  },
  {
    name: 'remembers-in-silence',
    breaks: 'remembered',
    first: ['pins to the last digest, with a note, where nobody answers'],
    change: ({ fetcher }) => ({
      pin: (image, signal, options = {}) => fetcher.pin(image, signal, { ...options, note: () => undefined }),
    }),
  },
  {
    name: 'notes-whatever-happens',
    breaks: 'remembered',
    also: ['asks'],
    first: ['says nothing of images that are there'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) => {
        const pinned = await fetcher.pin(image, signal, options);
        if (pinned.isOk()) await options?.note?.(`${image.name} is ${pinned.value.digest}`);
        return pinned;
      },
    }),
  },
  {
    name: 'asks-once-and-never-again',
    breaks: 'content',
    first: ['gives another digest once a name means another image'],
    change: ({ fetcher }) => {
      const known = new Map<string, PinnedImage>();
      return {
        pin: async (image, signal, options) => {
          const found = known.get(`${image.name} ${image.platform}`);
          if (found !== undefined && options?.pull !== 'always') return ok(found);
          const pinned = await fetcher.pin(image, signal, options);
          if (pinned.isOk()) known.set(`${image.name} ${image.platform}`, pinned.value);
          return pinned;
        },
      };
    },
  },
  {
    name: 'always-is-a-wish',
    breaks: 'asks',
    first: ['fails with `always` where nobody answers'],
    change: ({ fetcher }) => ({
      pin: (image, signal, options) =>
        fetcher.pin(image, signal, options?.pull === 'always' ? { ...options, pull: 'auto' } : options),
    }),
  },
  {
    name: 'always-takes-what-it-just-heard',
    breaks: 'asks',
    first: ['finds out with `always` what a name means now'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) => {
        const known = await fetcher.pin(image, signal, { ...options, pull: 'never' });
        return options?.pull === 'always' && known.isOk() ? known : fetcher.pin(image, signal, options);
      },
    }),
  },
  {
    name: 'asks-in-spite-of-never',
    breaks: 'neverAsks',
    first: ['asks nobody with `never`'],
    change: ({ fetcher }) => ({
      pin: (image, signal, options) => fetcher.pin(image, signal, { ...options, pull: 'auto' }),
    }),
  },
  {
    name: 'never-knows-nothing',
    breaks: 'neverAsks',
    first: ['asks nobody with `never`'],
    change: ({ fetcher }) => ({
      pin: (image, signal, options) =>
        fetcher.pin(options?.pull === 'never' ? { ...image, name: 'nobody' } : image, signal, options),
    }),
  },
  {
    name: 'not-held-is-any-failure',
    breaks: 'neverAsks',
    first: ['answers `not-held` with `never` for what was never pinned'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) =>
        (await fetcher.pin(image, signal, options)).mapErr((error) =>
          error.type === 'not-held' ? failed(error.message) : error,
        ),
    }),
  },
  {
    name: 'one-platform-is-as-good-as-another',
    breaks: 'failures',
    first: ['fails where nobody answers about a name that is new, or a platform'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) => {
        const pinned = await fetcher.pin({ ...image, platform: 'linux/amd64' }, signal, options);
        return pinned.map((found) => ({ ...found, platform: image.platform }));
      },
    }),
  },
  {
    name: 'nobody-need-hear-a-note',
    breaks: 'logRejects',
    first: ['rejects with the reason where its note rejects'],
    change: ({ fetcher }) => ({
      pin: (image, signal, options = {}) => {
        const note = async (text: string) => {
          await Promise.resolve(options.note?.(text)).catch(() => undefined);
        };
        return fetcher.pin(image, signal, { ...options, note });
      },
    }),
  },
  {
    name: 'writes-what-it-may-not-ask-for',
    breaks: 'nothingWritten',
    first: ['unpacks with `never` what is on this machine'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) => {
        for (const volume of into.values()) {
          await using mounted = orThrow(await volume.mount());
          await writeFile(join(mounted.path, 'begun'), '');
        }
        return fetcher.unpack(image, into, io);
      },
    }),
  },
];
