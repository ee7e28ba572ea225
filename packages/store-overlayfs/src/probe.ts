import { lstat, mkdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { attempt, err, failed, ok, type Result, type StoreError } from '@snapstep/core/backend';
import { BOTTOM } from './layers.ts';
import type { Layout } from './layout.ts';
import { mountOverlay, unmount } from './mount.ts';

/**
 * Finds out with a real overlay whether this disk, kernel and user can have one (V3). A directory of a layer below
 * is renamed in it, which takes whiteouts and attributes that only root may set.
 */
export async function probeOverlay(layout: Layout): Promise<Result<void, StoreError>> {
  const directory = layout.workspace.fresh();
  const tried = await tryOverlay(layout, directory);
  const discarded = await layout.workspace.discard(directory);
  // A full disk cannot be asked. It had an overlay when there was room, and a store that opens can make room.
  if (tried.isOk() || tried.error.type === 'no-space') return discarded;
  const reason = tried.error.message;
  return err(
    failed(
      `${layout.layers} cannot hold the layers of an overlay. It takes root (CAP_SYS_ADMIN) and a disk such as ` +
        `ext4, XFS or Btrfs; the root of a container is often an overlay itself, on which no other can lie. ${reason}`,
      tried.error,
    ),
  );
}

async function tryOverlay(layout: Layout, directory: string): Promise<Result<void, StoreError>> {
  const at = (name: string): string => join(directory, name);
  for (const name of ['', 'lower', 'lower/dir', 'upper', 'work', 'merged']) {
    const made = await attempt(mkdir(at(name)));
    if (made.isErr()) return made;
  }
  const mounted = await mountOverlay({
    cwd: layout.layers,
    lower: [layout.fromLayers(at('lower')), BOTTOM],
    writable: { upper: layout.fromLayers(at('upper')), work: layout.fromLayers(at('work')) },
    target: at('merged'),
  });
  if (mounted.isErr()) return mounted;
  const renamed = await attempt(rename(at('merged/dir'), at('merged/renamed')));
  const unmounted = await unmount(at('merged'));
  if (renamed.isErr() || unmounted.isErr()) return renamed.isErr() ? renamed : unmounted;
  const whiteout = await attempt(lstat(at('upper/dir')));
  if (whiteout.isErr()) return err(whiteout.error);
  return whiteout.value.isCharacterDevice() ? ok() : err(failed('the overlay made no whiteout'));
}
