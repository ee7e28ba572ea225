import type { FetchError, ImageConfig, ImageRef, LogSink, Result } from '@snapstep/core/backend';
import type { Scratch } from './scratch.ts';
import type { RegistryAccess } from './skopeo.ts';
import type { State } from './state.ts';

/** One image in the place where a reference says it is. */
export interface ImageSource {
  /** The digest of what is there now. */
  pin(signal: AbortSignal): Promise<Result<string, FetchError>>;
  /** Unpacks the image with that digest, or fails. */
  unpack(target: UnpackTarget): Promise<Result<ImageConfig, FetchError>>;
}

export interface UnpackTarget {
  readonly digest: string;
  /** An empty directory. */
  readonly rootfs: string;
  readonly log: LogSink;
  readonly signal: AbortSignal;
}

/** What every source needs. */
export interface SourceContext {
  readonly image: ImageRef;
  readonly state: State;
  readonly scratch: Scratch;
  /** What tags meant a moment ago. */
  readonly recentPins: Map<string, { readonly digest: string; readonly until: number }>;
  readonly tagTtlMilliseconds: number;
  access(registry: string): RegistryAccess;
}

export function imageNotFound(image: ImageRef, message: string): FetchError {
  return { type: 'image-not-found', image, message };
}
