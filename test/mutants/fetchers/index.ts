import { createHash, randomBytes } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { cancelled, err, failed, ok, orThrow, runCommand, type Volumes } from '@snapstep/core/backend';
import { fetcherSuite } from '@snapstep/core/conformance';
import type { Mutant } from '../mutant.ts';
import { type Change, openDirectories, openScripted } from './healthy-place.ts';

interface FetcherBreakage extends Pick<Mutant, 'name' | 'promise' | 'killedBy'> {
  readonly first: readonly [string, ...string[]];
  readonly change: Change;
}

const pins: readonly FetcherBreakage[] = [
  {
    name: 'digest-of-the-name',
    promise: 'a digest says what is in an image',
    killedBy: /a digest says what is in an image/,
    first: ['gives another digest once a name means another image'],
    change: () => ({ pin: async (image) => ok({ ...image, digest: digestOf(image.name) }) }),
  },
  {
    name: 'digest-of-the-moment',
    promise: 'a digest stays as long as the image does',
    killedBy: /a digest stays as long as the image does/,
    first: ['pins an image to a digest, and to the same one each time'],
    change: ({ fetcher }) => ({
      pin: async (image, signal) =>
        (await fetcher.pin(image, signal)).map((pinned) => ({
          ...pinned,
          digest: digestOf(randomBytes(8).toString('hex')),
        })),
    }),
  },
  {
    name: 'short-digest',
    promise: 'a digest is `sha256:` and 64 hex digits',
    killedBy: /a digest is `sha256:` and 64 hex digits/,
    first: ['pins an image to a digest, and to the same one each time'],
    change: ({ fetcher }) => ({
      pin: async (image, signal) =>
        (await fetcher.pin(image, signal)).map((pinned) => ({
          ...pinned,
          digest: pinned.digest.slice(0, 19),
        })),
    }),
  },
  {
    name: 'missing-is-failed',
    promise: 'an image that is not there is `image-not-found`',
    killedBy: /an image that is not there is `image-not-found`/,
    first: ['answers `image-not-found`'],
    change: ({ fetcher }) => ({
      pin: async (image, signal) =>
        (await fetcher.pin(image, signal)).mapErr((error) =>
          error.type === 'image-not-found' ? failed('exit status 1') : error,
        ),
    }),
  },
  {
    name: 'pin-downloads',
    promise: '`pin` reads little: no layer is downloaded before `unpack`',
    killedBy: /`pin` reads little/,
    first: ['reads little'],
    change: ({ fetcher, filesOf }) => ({
      pin: async (image, signal) => {
        await runCommand('tar', ['-C', filesOf(image), '-cf', `${filesOf(image)}.tar`, '.']);
        return fetcher.pin(image, signal);
      },
    }),
  },
  {
    name: 'pin-hears-no-abort',
    promise: 'an aborted `pin` answers `cancelled`',
    killedBy: /an aborted `pin` answers `cancelled`/,
    first: ['is cancelled, with the reason, where it is aborted before'],
    change: ({ fetcher }) => ({ pin: (image) => fetcher.pin(image, new AbortController().signal) }),
  },
];

const unpacking: readonly FetcherBreakage[] = [
  {
    name: 'unpacks-what-the-name-means',
    promise: '`unpack` writes exactly the image that was pinned, or fails',
    killedBy: /`unpack` writes exactly the image that was pinned/,
    first: ['writes the image that was pinned, or fails'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) =>
        fetcher.unpack(orThrow(await fetcher.pin(image, io.signal)), into, io),
    }),
  },
  {
    name: 'everything-belongs-to-root',
    promise: '`unpack` writes exactly the files of the image, with their owners',
    killedBy: /`unpack` writes exactly the image that was pinned/,
    first: ['writes exactly the files of the image'],
    change: afterwards((path) => runCommand('chown', ['-R', '0:0', path])),
  },
  {
    name: 'copies-of-hard-links',
    promise: '`unpack` writes exactly the files of the image, with their links',
    killedBy: /`unpack` writes exactly the image that was pinned/,
    first: ['writes exactly the files of the image'],
    change: afterwards((path) =>
      runCommand('sh', ['-c', 'cd "$0/bin" && cp -p alias new && mv new alias || true', path]),
    ),
  },
  {
    name: 'modes-through-links',
    promise: 'nothing is written outside of the volumes, whatever links are in an image',
    killedBy: /nothing is written outside of the volumes/,
    first: ['touches nothing on the host that a link in the image leads to'],
    change: afterwards((path) =>
      runCommand('find', [path, '-type', 'l', '-exec', 'chmod', '700', '{}', '+']),
    ),
  },
  {
    name: 'log-of-nothing',
    promise: 'the log gets lines about what is done',
    killedBy: /the log gets lines/,
    first: ['tells the log what it does'],
    change: ({ fetcher }) => ({
      unpack: (image, into, io) => fetcher.unpack(image, into, { ...io, log: { write: async () => {} } }),
    }),
  },
  {
    name: 'missing-without-the-image',
    promise: '`image-not-found` says which image',
    killedBy: /`image-not-found` says which image/,
    first: ['answers `image-not-found`, with the image'],
    change: ({ fetcher }) => ({
      pin: async (image, signal) =>
        (await fetcher.pin(image, signal)).mapErr((error) =>
          error.type === 'image-not-found' ? { ...error, image: { ...error.image, name: '' } } : error,
        ),
    }),
  },
  {
    name: 'descriptors-stay-open',
    promise: 'nothing of a call is left when it has settled',
    killedBy: /nothing of a call is left when it has settled \(descriptors\)/,
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
    promise: 'an aborted `unpack` answers `cancelled`, with the reason',
    killedBy: /an aborted `unpack` answers `cancelled`/,
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
    promise: 'every volume is unmounted when `unpack` settles',
    killedBy: /every volume is unmounted when `unpack` settles/,
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
    promise: 'a log that rejects a write ends the call, which then rejects with the same reason',
    killedBy: /`unpack` rejects with the reason of a log that rejects/,
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
    promise: 'a promise settles only when nothing it started is still running',
    killedBy: /nothing is written once `unpack` has settled|every volume is unmounted/,
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
    promise: 'nothing is written after an abort',
    killedBy: /nothing is written after an abort/,
    first: ['writes nothing where it is aborted before'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) => {
        const unpacked = await fetcher.unpack(image, into, { ...io, signal: new AbortController().signal });
        return io.signal.aborted ? err(cancelled(io.signal)) : unpacked;
      },
    }),
  },
];

const configurations: readonly FetcherBreakage[] = [
  {
    name: 'no-configuration',
    promise: "`unpack` gives the image's configuration",
    killedBy: /`unpack` gives the image's configuration/,
    first: ['gives what the image says'],
    change: ({ fetcher }) => ({
      unpack: async (image, into, io) => (await fetcher.unpack(image, into, io)).map(() => ({ env: {} })),
    }),
  },
  {
    name: 'adds-a-path',
    promise: 'an image that says nothing has no environment',
    killedBy: /`unpack` gives the image's configuration/,
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

export const fetcherMutants: readonly Mutant[] = [
  ...[...pins, ...unpacking].map(
    ({ change, ...said }): Mutant => ({
      ...said,
      needs: ['root'],
      // A directory says nothing about the commands that run in it.
      suite: (functions) =>
        fetcherSuite(functions, { open: () => openDirectories(change), except: ['configuration'] }),
    }),
  ),
  ...configurations.map(
    ({ change, ...said }): Mutant => ({
      ...said,
      suite: (functions) =>
        fetcherSuite(functions, { open: () => openScripted(change), except: ['unpacking'] }),
    }),
  ),
];

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

function digestOf(text: string): string {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
