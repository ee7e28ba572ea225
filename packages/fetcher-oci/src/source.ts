import type {
  FetchError,
  HashCache,
  ImageConfig,
  ImageRef,
  PinOptions,
  Result,
  UnpackIo,
} from '@snapstep/core/backend';
import type { ImageBudget } from './image-limits.ts';
import type { Pins } from './pins.ts';
import type { Recent } from './recent.ts';
import type { Scratch } from './scratch.ts';
import type { RegistryAccess } from './skopeo.ts';

/** One image in the place where a reference says it is. */
export interface ImageSource {
  /** The digest of what is there now. */
  pin(asking: Asking): Promise<Result<string, FetchError>>;
  /** Unpacks the image with that digest, or fails. */
  unpack(target: UnpackTarget): Promise<Result<ImageConfig, FetchError>>;
}

export interface Asking extends Required<PinOptions> {
  readonly signal: AbortSignal;
}

export interface UnpackTarget extends UnpackIo {
  /** Its signal is the one of this target. */
  readonly budget: ImageBudget;
  readonly digest: string;
  /** An empty directory. */
  readonly rootfs: string;
}

/** What every source needs. */
export interface SourceContext {
  readonly image: ImageRef;
  /** Of local files. */
  readonly hashes: HashCache;
  readonly scratch: Scratch;
  readonly pins: Pins;
  /** What references meant a moment ago. */
  readonly recentPins: Recent<string>;
  /** The registries that gave no answer a moment ago, and why. */
  readonly silence: Recent<string>;
  /** How long a registry may take to say what a tag means, where that is known from before. */
  readonly answerMilliseconds: number;
  access(registry: string): RegistryAccess;
}

export function imageNotFound(image: ImageRef, message: string): FetchError {
  return { type: 'image-not-found', image, message };
}

/** @param what - What is not here, as the subject and the verb of a sentence. */
export function notHeld(image: ImageRef, what: string): FetchError {
  return { type: 'not-held', image, message: `"${image.name}": ${what}, and no registry may be asked` };
}
