import { chmod, chown, mkdir, rmdir, stat, symlink, unlink } from 'node:fs/promises';
import { err, ok, type Result } from 'neverthrow';
import { failed, type StoreError } from '../backend/failures.ts';
import { detachBelow } from '../backend/mount-points.ts';
import type { HostPath } from '../backend/names.ts';
import type { PlacementOptions, StoreFeatures } from '../backend/store.ts';
import { attempt, attemptExisting } from '../backend/store-failure.ts';
import type { Mounted, Volume } from '../backend/volume.ts';
import { bindReadOnly } from './bind-mount.ts';

type Placement = StoreFeatures['placement'];

/**
 * Places a volume by a symbolic link to it, which needs no privileges: programs that open `target`, or files below it,
 * see the volume. What looks at the link itself (`lstat`, `pwd -P`, `realpath`) sees the difference to a mount.
 * With `readOnly` it is a bind mount, which needs root and Linux.
 *
 * `target` must be missing or an empty directory, which is there again after the dispose.
 */
export class MemoryPlacement implements Placement, AsyncDisposable {
  readonly #placed = new Set<AsyncDisposable>();

  async mountAt(
    volume: Volume,
    target: HostPath,
    options: PlacementOptions = {},
  ): Promise<Result<Mounted, StoreError>> {
    const mounted = await volume.mount();
    if (mounted.isErr()) return err(mounted.error);
    const placed = await (options.readOnly ? placeMount : placeLink)(mounted.value.path, target);
    if (placed.isOk()) return ok(this.#place(target, { mounted: mounted.value, undo: placed.value }));
    await mounted.value[Symbol.asyncDispose]();
    return err(placed.error);
  }

  /** Takes away all that is still placed. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const placed of this.#placed) await placed[Symbol.asyncDispose]();
  }

  #place(path: HostPath, { mounted, undo }: { readonly mounted: Mounted; readonly undo: Undo }): Mounted {
    const placed: Mounted = {
      path,
      [Symbol.asyncDispose]: async () => {
        if (!this.#placed.delete(placed)) return;
        await undo();
        await mounted[Symbol.asyncDispose]();
      },
    };
    this.#placed.add(placed);
    return placed;
  }
}

/** Puts everything back as it was before. */
type Undo = () => Promise<void>;

async function placeLink(path: HostPath, target: HostPath): Promise<Result<Undo, StoreError>> {
  const restore = await clear(target);
  if (restore.isErr()) return err(restore.error);
  const linked = await attempt(symlink(path, target));
  if (linked.isErr()) {
    await restore.value();
    return err(linked.error);
  }
  return ok(async () => {
    // Whoever used the place may have taken it away, or put something else there.
    const taken = await attempt(unlink(target));
    if (taken.isOk()) await restore.value();
  });
}

async function placeMount(path: HostPath, target: HostPath): Promise<Result<Undo, StoreError>> {
  const restore = await clear(target);
  if (restore.isErr()) return err(restore.error);
  const made = await attempt(mkdir(target));
  const bound = made.isOk() ? await bindReadOnly(path, target) : made;
  const undo: Undo = async () => {
    await detachBelow(target);
    await attemptExisting(rmdir(target));
    await restore.value();
  };
  if (bound.isOk()) return ok(undo);
  await undo();
  return err(bound.error);
}

/** Takes an empty directory away, if one is there. */
async function clear(target: HostPath): Promise<Result<Undo, StoreError>> {
  const before = await attemptExisting(stat(target));
  if (before.isErr()) return err(before.error);
  const cleared = await attemptExisting(rmdir(target));
  if (cleared.isErr()) {
    return err(
      failed(`${target} is in the way: it is neither missing nor an empty directory`, cleared.error),
    );
  }
  return ok(async () => {
    if (before.value === undefined) return;
    const { mode, uid, gid } = before.value;
    await attempt(mkdir(target));
    await attempt(chmod(target, mode & 0o7777));
    if (process.getuid?.() === 0) await attempt(chown(target, uid, gid));
  });
}
