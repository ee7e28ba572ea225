/** What `fetcherSuite` checks, in the words of `Fetcher`: a test that fails says one of these after `broken promise: `. */
export const fetcherPromises = {
  digests: 'a digest is `sha256:` and 64 hex digits',
  pinned: 'a pinned image has the name and the platform that were asked for',
  stable: 'a digest stays as long as the image does',
  content: 'equal digests are equal images, whatever their names: files and configuration',
  readsLittle: '`pin` reads little: no layer is downloaded before `unpack`',
  notFound: 'an image that is not there is answered with `image-not-found`, the image and a sentence',

  remembered: 'a name that was pinned before is pinned to the same digest, with a note, where nobody answers',
  asks: '`pull: always` asks what a name means now, and fails where nobody answers',
  neverAsks: '`pull: never` asks nobody: it gives what the name meant last, or `not-held`',

  exact: '`unpack` writes exactly the image that was pinned, or fails',
  unpacked: 'an image that is there can be unpacked, also after a call for it that failed or was aborted',
  verified: '`unpack` verifies what it writes, or fails',
  outside: 'nothing is written outside of the volumes, whatever links are in an image',
  configuration: "`unpack` gives the image's configuration, and adds nothing to it",
  logged: 'the log gets lines that say what is done',

  cancelled: 'an aborted call answers `cancelled`, with the reason of the signal',
  nothingWritten: 'an `unpack` that was aborted before it began writes nothing',
  quiet: 'a promise settles only when nothing it started is still running or there, also after an abort',
  unmounted: 'every volume is unmounted when `unpack` settles',
  logRejects: 'a log or a note that rejects ends the call, which rejects with the same reason',
  noSpace: 'a disk that is full is answered with `no-space`',
  failures: 'what goes wrong is answered with `failed`',
} as const;

export type FetcherPromise = (typeof fetcherPromises)[keyof typeof fetcherPromises];
