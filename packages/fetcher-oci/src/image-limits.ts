import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { err, type FetchError, failed, ok, type Result } from '@snapstep/core/backend';
import type { ImageManifest } from './image-config.ts';

/** How much an image may ask for. What goes beyond is a failure. */
export interface ImageLimits {
  /** Default: 500. No known builder makes more than 127. */
  readonly layers: number;
  /** Of its layers, compressed, as the manifest says and as they are when they arrive. Default: 32 GiB. */
  readonly bytes: number;
  /** How long fetching and unpacking one image may take. Default: an hour. */
  readonly milliseconds: number;
}

const DEFAULT: ImageLimits = { layers: 500, bytes: 32 * 2 ** 30, milliseconds: 3_600_000 };

/** @throws RangeError where a number is not above 0. */
export function imageLimits(limits: Partial<ImageLimits> = {}): ImageLimits {
  const all = { ...DEFAULT, ...limits };
  for (const [name, value] of Object.entries(all))
    if (!(value > 0)) throw new RangeError(`the limit "${name}" of images is ${value}, but must be above 0`);
  return all;
}

/** Whether an image has no more layers and bytes than it may have, and each of its blobs is a file of the size it says. */
export async function checkImage(
  layout: string,
  { manifest, limits }: { readonly manifest: ImageManifest; readonly limits: ImageLimits },
): Promise<Result<void, string>> {
  const { layers } = manifest;
  if (layers.length > limits.layers)
    return err(`it has ${layers.length} layers, more than the limit of ${limits.layers}`);
  const bytes = layers.reduce((sum, { size }) => sum + size, 0);
  if (bytes > limits.bytes)
    return err(`its layers have ${bytes} bytes, more than the limit of ${limits.bytes}`);
  for (const { digest, size } of layers) {
    const stat = await lstat(join(layout, 'blobs', ...digest.split(':'))).catch((error: Error) => error);
    if (stat instanceof Error) return err(`its layer ${digest} cannot be read: ${stat.message}`);
    if (!stat.isFile()) return err(`its layer ${digest} is not a file`);
    if (stat.size !== size) return err(`its layer ${digest} has ${stat.size} bytes, and not ${size}`);
  }
  return ok();
}

/** Time and space for one image. Disposing it ends the watch. */
export interface ImageBudget extends Disposable {
  readonly limits: ImageLimits;
  /** Aborts when the caller's signal does, or when time or space is used up. */
  readonly signal: AbortSignal;
  /** Looks now and then how much is in a directory that another program downloads to. */
  watch(directory: string): AsyncDisposable;
  /** What fetching came to: where time or space was used up, that is the failure. */
  judge<T>(result: Result<T, FetchError>): Result<T, FetchError>;
}

/** @param name - Of the image, for the failure. */
export function openBudget(name: string, limits: ImageLimits, signal: AbortSignal): ImageBudget {
  const used = new AbortController();
  const late = `fetching and unpacking took longer than the limit of ${limits.milliseconds} ms`;
  const timer = setTimeout(() => used.abort(late), Math.min(limits.milliseconds, LONGEST_TIMER));
  return {
    limits,
    signal: AbortSignal.any([signal, used.signal]),
    watch: (directory) => watchSize(directory, limits, (reason) => used.abort(reason)),
    judge: (result) =>
      result.isErr() && used.signal.aborted && !signal.aborted
        ? err(failed(`${name}: ${used.signal.reason}`))
        : result,
    [Symbol.dispose]: () => clearTimeout(timer),
  };
}

/** Node's timers can be set no further. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** A registry can send more than its manifest says, and programs look at a blob when they have all of it. */
function watchSize(
  directory: string,
  { bytes, layers }: ImageLimits,
  onExceeded: (reason: string) => void,
): AsyncDisposable {
  const stop = new AbortController();
  const watching = (async () => {
    while (await isDelayed(LOOK_MS, stop.signal)) {
      const sizes = await sizesIn(directory);
      if (sizes.length > layers + OTHER_FILES) onExceeded(`it has more than the limit of ${layers} layers`);
      if (sizes.reduce((sum, size) => sum + size, 0) > bytes)
        onExceeded(`it is larger than the limit of ${bytes} bytes`);
    }
  })();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await watching;
    },
  };
}

const LOOK_MS = 250;
/** The index, the manifest, the config and what a program keeps beside them. */
const OTHER_FILES = 20;

function isDelayed(milliseconds: number, signal: AbortSignal): Promise<boolean> {
  return delay(milliseconds, true, { signal }).catch(() => false);
}

/** Files come and go meanwhile. */
async function sizesIn(directory: string): Promise<readonly number[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = entries.filter((entry) => entry.isFile());
  const stats = files.map(({ parentPath, name }) => lstat(join(parentPath, name)).catch(() => undefined));
  return (await Promise.all(stats)).map((stat) => stat?.size ?? 0);
}
