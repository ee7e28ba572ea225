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

export type FetchError =
  | { readonly type: 'image-not-found'; readonly image: ImageRef; readonly message: string }
  /** The disk is full. The builder prunes, then tries once more. */
  | { readonly type: 'no-space'; readonly message: string }
  | Failed
  | Cancelled;

/**
 * Finds base images and unpacks them.
 *
 * Every fetcher promises the builder:
 * - `pin` reads little: no layer is downloaded before `unpack`;
 * - `unpack` writes exactly the image that was pinned, verified, or fails, whatever its name means by then;
 * - nothing is written outside of the volumes, whatever links and names are in an image;
 * - every volume is unmounted when `unpack` settles;
 * - a log that rejects a write ends the call, which then rejects with the same reason;
 * - a promise settles only when nothing it started is still running, also after an abort.
 */
export interface Fetcher extends AsyncDisposable {
  pin(image: ImageRef, signal: AbortSignal): Outcome<PinnedImage, FetchError>;
  unpack(
    image: PinnedImage,
    into: Volumes,
    io: { readonly log: LogSink; readonly signal: AbortSignal },
  ): Outcome<ImageConfig, FetchError>;
}
