import type { Cancelled, Failed, Outcome } from './failures.ts';
import type { LogSink } from './log-sink.ts';
import type { Owner } from './names.ts';
import type { Volumes } from './volume.ts';

export interface ImageRef {
  /** As the spec's `(from NAME)` gives it. */
  readonly name: string;
  /** `os/architecture` or `os/architecture/variant`, in the words of the OCI image specification. */
  readonly platform: string;
}

/** An image pinned to its content. Only this goes into step keys, never a tag. */
export interface PinnedImage extends ImageRef {
  /** `sha256:` and 64 hex digits. Equal digests give equal files and equal {@link ImageConfig}. */
  readonly digest: string;
}

/** What an image says about the commands that run in it. */
export interface ImageConfig {
  readonly env: Readonly<Record<string, string>>;
  readonly user?: Owner;
  readonly cwd?: string;
}

/** What may be asked of the network: about an image whose files are on this machine, nobody ever is. */
export type PullPolicy =
  /** What the name means now; or, where nobody answers, what it meant last, with a note. */
  | 'auto'
  /** What the name means now; it is a failure if nobody answers. What was found out a moment ago will not do. */
  | 'always'
  /** Nothing: what the name meant last, and of files only those that are here; else `not-held`. */
  | 'never';

export interface PinOptions {
  /** Default: `auto`. */
  readonly pull?: PullPolicy;
  /** Told, in a sentence, if what the name meant last is used since nobody answered. What it rejects with, `pin` rejects with. */
  readonly note?: (text: string) => void | Promise<void>;
}

export interface UnpackIo {
  readonly log: LogSink;
  readonly signal: AbortSignal;
  /** Default: `auto`. What was pinned never changes, so it is only asked for if its files are not here. */
  readonly pull?: PullPolicy;
}

export type FetchError =
  | { readonly type: 'image-not-found'; readonly image: ImageRef; readonly message: string }
  /** The network would have to be asked, and `pull` is `never`. */
  | { readonly type: 'not-held'; readonly image: ImageRef; readonly message: string }
  /** The disk is full. The builder prunes, then tries once more. */
  | { readonly type: 'no-space'; readonly message: string }
  | Failed
  | Cancelled;

/**
 * Finds base images and unpacks them.
 *
 * Every fetcher promises the builder:
 * - `pin` reads little: no layer is downloaded before `unpack`;
 * - the network is asked as {@link PullPolicy} has it, and what a name meant last is known to the next process as well;
 * - `pin` gives the digest of an image whose manifest the place itself has that the name speaks of, and has shown: what a
 *   spec may read is what its names lead to, and a digest that an index only names may be that of another's image, of which
 *   the files are saved here;
 * - `unpack` writes exactly the image that was pinned, verified, or fails, whatever its name means by then;
 * - nothing is written outside of the volumes, whatever links and names are in an image;
 * - every volume is unmounted when `unpack` settles;
 * - a log that rejects a write ends the call, which then rejects with the same reason;
 * - a promise settles only when nothing it started is still running, also after an abort.
 */
export interface Fetcher extends AsyncDisposable {
  pin(image: ImageRef, signal: AbortSignal, options?: PinOptions): Outcome<PinnedImage, FetchError>;
  unpack(image: PinnedImage, into: Volumes, io: UnpackIo): Outcome<ImageConfig, FetchError>;
}
