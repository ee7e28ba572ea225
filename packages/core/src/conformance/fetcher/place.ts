import type { Fetcher, ImageConfig, ImageRef } from '../../backend/fetcher.ts';
import type { HostPath } from '../../backend/names.ts';
import type { Volumes } from '../../backend/volume.ts';

/** An image to be made available: a directory with its files, as the fetcher must give them back. */
export interface SuiteImage {
  readonly files: HostPath;
  /** What the image says. Undefined where the suite does not look at it. */
  readonly config?: ImageConfig;
}

/** A fetcher under test, with images of its own. Disposing it takes both away. */
export interface FetcherPlace extends AsyncDisposable {
  readonly fetcher: Fetcher;
  /**
   * Makes an image available, under a name that holds `name`. The same name again means another image from then on.
   * The files may go once this has settled, but for a fetcher that finds its images in directories.
   */
  publish(name: string, image: SuiteImage): Promise<ImageRef>;
  /** An image that is not there, though all that its name says of a place is. */
  readonly missing: ImageRef;
  /** The images have no digest of their own, as directories: each is read whole when it is pinned first, and only then. */
  readonly readsOnce?: boolean;
  /**
   * From now until it is disposed nobody answers who is asked for images, or about them. Undefined where nobody is asked,
   * since the images are on this machine.
   */
  goOffline?(): Promise<AsyncDisposable>;
  /** Empty volumes of the layout that the fetcher fills. They go with the place. */
  volumes(): Promise<Volumes>;
  /** Damages the content of a published image, so that it is no longer what was pinned. */
  damage?(image: ImageRef): Promise<void>;
  /** What is there on the host of calls that have settled: processes, mounts, files. Looked at after each test. */
  leftovers?(): Promise<readonly string[]>;
}
