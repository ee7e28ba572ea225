import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  cancelled,
  err,
  type Failed,
  type FetchError,
  type Fetcher,
  failed,
  HashCache,
  type HostPath,
  holdDirectory,
  type ImageRef,
  isDiskFull,
  ok,
  type Result,
  type StoreError,
  toVolumeName,
  type Volumes,
} from '@snapstep/core/backend';
import { archiveSource } from './archive-source.ts';
import { type ImageLimits, imageLimits, openBudget } from './image-limits.ts';
import { layoutSource } from './layout-source.ts';
import { Pins } from './pins.ts';
import { Recent } from './recent.ts';
import { checkReference, isRegistryHost, parseReference, withoutUserinfo } from './reference.ts';
import { registrySource } from './registry-source.ts';
import { rootfsSource } from './rootfs-source.ts';
import { openScratch, type Scratch } from './scratch.ts';
import type { RegistryAccess } from './skopeo.ts';
import { type ImageSource, imageNotFound, type SourceContext } from './source.ts';

export interface OciFetcherOptions {
  /**
   * For temporary files and for what is remembered; made if it is missing. Fetchers may share it, also from several
   * processes: what names meant last is known to all, digests of local files only to the one that opened it first.
   */
  readonly stateDir: HostPath;
  /**
   * What a spec's `(from NAME)` means here, such as `debian:12` → `rootfs:/srv/debian`, so that it can be built
   * without a network. The meaning is a reference, and is not looked up again. Only what stands here may be a place
   * on this machine: a spec cannot read files of the host by naming them. See {@link checkReference}.
   */
  readonly images?: ReadonlyMap<string, string>;
  /** A file with credentials. Default: where `skopeo login` and `docker login` keep them. */
  readonly authFile?: HostPath;
  /** A directory with `.crt` files of certificate authorities, and `.cert` and `.key` of ours. */
  readonly certDir?: HostPath;
  /** Registries that may speak plain HTTP or show an unknown certificate, such as `127.0.0.1:5000`. */
  readonly insecureRegistries?: readonly string[];
  /** For how long what a tag means is not asked again, and a registry that gave no answer neither. Default: 5000. */
  readonly tagTtlMilliseconds?: number;
  /**
   * How long a registry may take to say whether a tag means what it meant last, before it counts as giving no answer.
   * What it means by now may take three times as long, and what it means at all, 24 times. Default: 5000.
   */
  readonly answerMilliseconds?: number;
  /** How much an image may ask for. Those that are absent have their defaults. */
  readonly limits?: Partial<ImageLimits>;
}

/** Disposing it removes its temporary files. Pulls must have settled by then. */
export interface OciFetcher extends Fetcher, AsyncDisposable {}

/**
 * Opens a fetcher of images in registries, OCI layouts, archives and root file systems.
 *
 * It needs root, and the programs skopeo and umoci for what is an OCI or Docker image. Names are those of
 * {@link OciFetcherOptions.images}, else references to registries: `debian:12` (Docker Hub), `HOST[:PORT]/NAME[:TAG]`,
 * `docker://HOST[:PORT]/NAME[:TAG|@DIGEST]`. What `images` gives a name to may also be `oci:PATH[:TAG]`,
 * `oci-archive:PATH[:TAG]`, `docker-archive:PATH[:NAME:TAG]`, or `rootfs:PATH`.
 *
 * @throws RangeError where a limit is not above 0.
 */
export async function openOciFetcher(options: OciFetcherOptions): Promise<Result<OciFetcher, StoreError>> {
  const limits = imageLimits(options.limits);
  const checked = checkOptions(options);
  if (checked.isErr()) return err(checked.error);
  try {
    return ok(makeFetcher({ ...options, limits }, await openState(options.stateDir)));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return err(failed(`cannot use ${options.stateDir} for the state of the fetcher: ${reason}`, error));
  }
}

/** What is wrong here would be found out by the first build that comes to it, or never. */
function checkOptions({ images, insecureRegistries = [] }: OciFetcherOptions): Result<void, Failed> {
  for (const [name, reference] of images ?? []) {
    const checked = checkReference(reference);
    if (checked.isErr()) return err(failed(`images, "${name}": ${checked.error.message}`));
  }
  const wrong = insecureRegistries.find((host) => !isRegistryHost(host));
  if (wrong === undefined) return ok();
  return err(failed(`insecureRegistries: "${wrong}" is not a host, or host:port, such as 127.0.0.1:5000`));
}

interface State {
  readonly scratch: Scratch;
  readonly hashes: HashCache;
  readonly pins: Pins;
  readonly held: Disposable;
}

async function openState(directory: HostPath): Promise<State> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const scratch = await openScratch(join(directory, 'tmp'));
  const pins = await Pins.open(join(directory, 'pins'));
  return {
    scratch,
    pins,
    hashes: HashCache.open(directory, { isShared: true }),
    held: holdDirectory(directory),
  };
}

function makeFetcher(
  options: OciFetcherOptions & { readonly limits: ImageLimits },
  state: State,
): OciFetcher {
  const { tagTtlMilliseconds = 5000, answerMilliseconds = 5000, limits } = options;
  const shared = {
    ...state,
    recentPins: new Recent<string>(tagTtlMilliseconds),
    silence: new Recent<string>(tagTtlMilliseconds),
    answerMilliseconds,
    access: (registry: string) => registryAccess(registry, options),
  };
  const sourceOf = (image: ImageRef): Result<ImageSource, FetchError> => {
    const mapped = options.images?.get(image.name);
    return openSource(mapped ?? image.name, { ...shared, image, mayBeLocal: mapped !== undefined });
  };
  return {
    async pin(image, signal, { pull = 'auto', note = () => undefined } = {}) {
      if (signal.aborted) return err(cancelled(signal));
      const source = sourceOf(image);
      if (source.isErr()) return err(source.error);
      const digest = await source.value.pin({ signal, pull, note });
      return digest.map((found) => ({ name: image.name, platform: image.platform, digest: found }));
    },
    async unpack(image, into, io) {
      if (io.signal.aborted) return err(cancelled(io.signal));
      if (process.getuid?.() !== 0)
        return err(failed(`${image.name}: only root can unpack an image, for its files have many owners`));
      const source = sourceOf(image);
      if (source.isErr()) return err(source.error);
      const mounted = await mountRootfs(into);
      if (mounted.isErr()) return err(mounted.error);
      await using rootfs = mounted.value;
      using budget = openBudget(image.name, limits, io.signal);
      const { signal } = budget;
      const { digest } = image;
      const target = { ...io, signal, budget, digest, rootfs: rootfs.path };
      return budget.judge(await toldFull(source.value.unpack(target)));
    },
    async [Symbol.asyncDispose]() {
      state.hashes[Symbol.dispose]();
      state.held[Symbol.dispose]();
      await state.pins[Symbol.asyncDispose]();
      await state.scratch[Symbol.asyncDispose]();
    },
  };
}

/** A full disk is told apart, since the builder can do something about it. The texts are strerror(3)'s and Go's. */
async function toldFull<T>(call: Promise<Result<T, FetchError>>): Promise<Result<T, FetchError>> {
  try {
    return (await call).mapErr((error) =>
      isFull(error) ? { type: 'no-space', message: error.message } : error,
    );
  } catch (error) {
    if (error instanceof Error && isDiskFull(error)) return err({ type: 'no-space', message: error.message });
    throw error;
  }
}

function isFull(error: FetchError): error is Failed {
  return error.type === 'failed' && /no space left on device|disk quota exceeded/i.test(error.message);
}

function openSource(
  text: string,
  context: SourceContext & { readonly mayBeLocal: boolean },
): Result<ImageSource, FetchError> {
  const parsed = parseReference(text);
  // Whoever wrote the name must write another, as for an image that is not there.
  if (parsed.isErr()) return err(imageNotFound(withoutPassword(context.image), parsed.error.message));
  const reference = parsed.value;
  if (reference.kind === 'docker') return ok(registrySource(reference, context));
  if (!context.mayBeLocal) {
    const message = `"${text}" is a place on this machine, which a spec may not name: give it a name in "images"`;
    return err(imageNotFound(context.image, message));
  }
  if (reference.kind === 'oci') return ok(layoutSource(reference, context));
  if (reference.kind === 'rootfs') return ok(rootfsSource(reference, context));
  return ok(archiveSource(reference, context));
}

function withoutPassword(image: ImageRef): ImageRef {
  return { ...image, name: withoutUserinfo(image.name) };
}

function registryAccess(registry: string, options: OciFetcherOptions): RegistryAccess {
  const { authFile, certDir, insecureRegistries } = options;
  return {
    tlsVerify: !insecureRegistries?.includes(registry),
    ...(authFile === undefined ? {} : { authFile }),
    ...(certDir === undefined ? {} : { certDir }),
  };
}

async function mountRootfs(
  volumes: Volumes,
): Promise<Result<AsyncDisposable & { readonly path: string }, FetchError>> {
  const volume = volumes.get(toVolumeName('rootfs'));
  if (volume === undefined)
    return err(failed('an image is unpacked into a volume "rootfs", and there is none'));
  const mounted = await volume.mount();
  return mounted.mapErr((error) =>
    error.type === 'cancelled' || error.type === 'no-space' ? error : failed(error.message, error),
  );
}
