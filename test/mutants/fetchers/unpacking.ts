import { type FileHandle, open } from 'node:fs/promises';
import {
  cancelled,
  err,
  type Fetcher,
  failed,
  ok,
  orThrow,
  runCommand,
  type Volume,
  type VolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import type { FetcherBreakage } from './breakage.ts';
import type { Change, Healthy } from './healthy-place.ts';

/** From a digest to files. */
export const unpackingBreakages: readonly FetcherBreakage[] = [
  {
    name: 'unpacks-what-the-name-means',
    breaks: 'exact',
    first: ['writes the image that was pinned, or fails'],
    change: unpackWhatIsThere,
  },
  {
    name: 'checks-no-digest',
    breaks: 'verified',
    first: ['fails where the content is not what was pinned'],
    change: unpackWhatIsThere,
  },
  {
    name: 'passes-over-a-volume',
    breaks: 'failures',
    first: ['fails with the reason where a volume cannot be mounted'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) => {
        const volumes = new Map<VolumeName, Volume>();
        for (const [name, volume] of into) {
          const mounted = await volume.mount();
          if (mounted.isErr()) continue;
          await mounted.value[Symbol.asyncDispose]();
          volumes.set(name, volume);
        }
        return volumes.size === 0 ? ok({ env: {} }) : fetcher.unpack(image, volumes, io);
      },
    }),
  },
  {
    name: 'a-full-volume-is-any-failure',
    breaks: 'noSpace',
    first: ['answers `no-space` where a volume has no room for the image'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) =>
        (await fetcher.unpack(image, into, io)).mapErr((error) =>
          error.type === 'no-space' ? failed(error.message) : error,
        ),
    }),
  },
  {
    name: 'half-a-download-in-the-way',
    breaks: 'unpacked',
    first: ['rejects with the reason where its log rejects'],
    change: ({ fetcher }) => {
      const halves = new Set<string>();
      return {
        unpack: async (image, into, io) => {
          if (halves.has(image.digest)) return err(failed(`${image.digest}: File exists`));
          halves.add(image.digest);
          const unpacked = await fetcher.unpack(image, into, io);
          halves.delete(image.digest);
          return unpacked;
        },
      };
    },
  },
  {
    name: 'everything-belongs-to-root',
    breaks: 'exact',
    first: ['writes exactly the files of the image'],
    change: afterwards((path) => runCommand('chown', ['-R', '0:0', path])),
  },
  {
    name: 'copies-of-hard-links',
    breaks: 'exact',
    first: ['writes exactly the files of the image'],
    change: afterwards((path) =>
      runCommand('sh', ['-c', 'cd "$0/bin" && cp -p alias new && mv new alias || true', path]),
    ),
  },
  {
    name: 'modes-through-links',
    breaks: 'outside',
    first: ['touches nothing on the host that a link in the image leads to'],
    change: afterwards((path) =>
      runCommand('find', [path, '-type', 'l', '-exec', 'chmod', '700', '{}', '+']),
    ),
  },
  {
    name: 'log-of-nothing',
    breaks: 'logged',
    first: ['tells the log what it does'],
    change: ({ fetcher }) => ({
      unpack: (image, into, io) => fetcher.unpack(image, into, { ...io, log: { write: async () => {} } }),
    }),
  },
  {
    name: 'missing-without-the-image',
    breaks: 'notFound',
    first: ['answers `image-not-found`, with the image'],
    change: ({ fetcher }) => ({
      pin: async (image, signal, options) =>
        (await fetcher.pin(image, signal, options)).mapErr((error) =>
          error.type === 'image-not-found' ? { ...error, image: { ...error.image, name: '' } } : error,
        ),
    }),
  },
  {
    name: 'descriptors-stay-open',
    breaks: 'quiet',
    first: ['keeps no descriptors of calls that have settled'],
    change: ({ fetcher }) => {
      const kept: FileHandle[] = [];
      return {
        unpack: async (image, into, io) => {
          kept.push(await open('/dev/null'));
          return fetcher.unpack(image, into, io);
        },
      };
    },
  },
  {
    name: 'abort-without-reason',
    breaks: 'cancelled',
    first: ['writes nothing where it is aborted before'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) =>
        (await fetcher.unpack(image, into, io)).mapErr((error) =>
          error.type === 'cancelled' ? { ...error, reason: undefined } : error,
        ),
    }),
  },
  {
    name: 'stays-mounted',
    breaks: 'unmounted',
    first: ['tells the log what it does'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) => {
        for (const volume of into.values()) await volume.mount();
        return fetcher.unpack(image, into, io);
      },
    }),
  },
  {
    name: 'swallows-a-rejecting-log',
    breaks: 'logRejects',
    first: ['rejects with the reason where its log rejects'],
    change: ({ fetcher }) => ({
      unpack: (image, into, io) => {
        const write = (chunk: Uint8Array | string) => io.log.write(chunk).catch(() => {});
        return fetcher.unpack(image, into, { ...io, log: { write } });
      },
    }),
  },
  {
    name: 'abort-settles-early',
    breaks: 'quiet',
    also: ['unmounted'],
    first: ['settles, with nothing still running'],
    change: ({ fetcher }) => ({
      unpack: (image, into, io) => {
        const { promise, resolve } = Promise.withResolvers<void>();
        io.signal.addEventListener('abort', () => resolve());
        const aborted = promise.then(() => err(cancelled(io.signal)));
        return Promise.race([fetcher.unpack(image, into, io), aborted]);
      },
    }),
  },
  {
    name: 'writes-before-it-looks',
    breaks: 'nothingWritten',
    first: ['writes nothing where it is aborted before'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) => {
        const unpacked = await fetcher.unpack(image, into, { ...io, signal: new AbortController().signal });
        return io.signal.aborted ? err(cancelled(io.signal)) : unpacked;
      },
    }),
  },
];

/** What an image says about the commands that run in it. */
export const configurationBreakages: readonly FetcherBreakage[] = [
  {
    name: 'no-configuration',
    breaks: 'configuration',
    first: ['gives what the image says'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) => (await fetcher.unpack(image, into, io)).map(() => ({ env: {} })),
    }),
  },
  {
    name: 'adds-a-path',
    breaks: 'configuration',
    first: ['says nothing where the image says nothing'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) =>
        (await fetcher.unpack(image, into, io)).map((config) => ({
          ...config,
          env: { PATH: '/usr/bin:/bin', ...config.env },
        })),
    }),
  },
];

function unpackWhatIsThere({ fetcher }: Healthy): Partial<Fetcher> {
  return {
    unpack: async (image, into, io) => fetcher.unpack(orThrow(await fetcher.pin(image, io.signal)), into, io),
  };
}

/** Something that happens to each volume that was unpacked. */
function afterwards(work: (path: string) => ReturnType<typeof runCommand>): Change {
  return ({ fetcher }) => ({
    unpack: async (image, into, io) => {
      const unpacked = await fetcher.unpack(image, into, io);
      if (unpacked.isOk()) await inEach(into, work);
      return unpacked;
    },
  });
}

async function inEach(volumes: Volumes, work: (path: string) => Promise<unknown>): Promise<void> {
  for (const volume of volumes.values()) {
    await using mounted = orThrow(await volume.mount());
    await work(mounted.path);
  }
}
