import {
  err,
  type Failed,
  failed,
  type Inside,
  ok,
  type Result,
  resolveInside,
} from '@snapstep/core/backend';

/** A path of the step's world, which is the Mac itself, with the volumes in their places. */
export interface StepPath extends Inside {
  /** Without links. */
  readonly path: string;
}

/**
 * Where a path leads, with every link followed as the kernel would.
 *
 * @param roots - What the step may change. A path may only be made in there, and `mountable` only lead in there.
 */
export async function resolveStepPath(
  text: string,
  { roots, use }: { readonly roots: readonly string[]; readonly use: 'directory' | 'mount point' },
): Promise<Result<StepPath, Failed>> {
  const found = await resolveInside('/', text, { followLast: true });
  if (found.isErr()) return err(found.error);
  const { existing, missing } = found.value;
  const path = [existing === '/' ? '' : existing, ...missing].join('/') || '/';
  const isOurs = roots.some((root) => isBelow(path, root));
  const isRefused = use === 'mount point' ? !isOurs : missing.length > 0 && !isOurs;
  if (isRefused) {
    const what = use === 'mount point' ? 'no cache can be mounted there' : 'it is not made there';
    return err(failed(`"${text}" leads to ${path}, outside of ${roots.join(' and ')}: ${what}`));
  }
  return ok({ existing, missing, path });
}

export function isBelow(path: string, root: string): boolean {
  return path.startsWith(`${root}/`);
}
