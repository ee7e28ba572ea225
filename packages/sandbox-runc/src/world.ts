import { realpath } from 'node:fs/promises';
import {
  type CacheMount,
  err,
  failed,
  type Mounted,
  ok,
  type Result,
  type RunRequest,
  type SandboxError,
  type StoreError,
  toVolumeName,
  type Volume,
  type Volumes,
} from '@snapstep/core/backend';

/** The mounted file systems of one step. Disposing it unmounts them all. */
export interface World extends AsyncDisposable {
  /** Where the root file system is, on a path without links. */
  readonly rootfs: string;
  readonly caches: readonly (CacheMount & { readonly path: string })[];
}

/** The only volume of a Linux container's world. */
export const ROOTFS: ReturnType<typeof toVolumeName> = toVolumeName('rootfs');

/** Mounts what a step needs, or nothing. */
export async function mountWorld(
  request: Pick<RunRequest, 'volumes' | 'mounts'>,
): Promise<Result<World, SandboxError>> {
  const held: Mounted[] = [];
  const release = async (): Promise<void> => {
    for (const mounted of held.splice(0).reverse()) await mounted[Symbol.asyncDispose]();
  };
  const hold = async (volume: Volume): Promise<Result<string, SandboxError>> => {
    const mounted = await volume.mount();
    if (mounted.isErr()) return err(toSandboxError(mounted.error));
    held.push(mounted.value);
    return ok(await realpath(mounted.value.path));
  };
  const mountAll = async (): Promise<Result<Omit<World, keyof AsyncDisposable>, SandboxError>> => {
    const rootfs = await holdRootfs(request.volumes, hold);
    if (rootfs.isErr()) return err(rootfs.error);
    const caches: (CacheMount & { readonly path: string })[] = [];
    for (const mount of request.mounts) {
      const path = await hold(mount.volume);
      if (path.isErr()) return err(path.error);
      caches.push({ ...mount, path: path.value });
    }
    return ok({ rootfs: rootfs.value, caches });
  };
  const world = await mountAll().catch(async (error: unknown) => {
    await release();
    throw error;
  });
  if (world.isErr()) {
    await release();
    return err(world.error);
  }
  return ok({ ...world.value, [Symbol.asyncDispose]: release });
}

async function holdRootfs(
  volumes: Volumes,
  hold: (volume: Volume) => Promise<Result<string, SandboxError>>,
): Promise<Result<string, SandboxError>> {
  const rootfs = volumes.get(ROOTFS);
  if (rootfs === undefined || volumes.size !== 1) {
    return err(
      failed(`a container is made of one volume, "rootfs", not of ${[...volumes.keys()].join(', ')}`),
    );
  }
  return hold(rootfs);
}

function toSandboxError(error: StoreError): SandboxError {
  return error.type === 'not-found' || error.type === 'busy' ? failed(error.message, error) : error;
}
