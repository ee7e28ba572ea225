import { join } from 'node:path';
import { err, escapeName, type HostPath, ok, type Store } from '@snapstep/core/backend';
import { firstPath, onCheckOut, onPrepare, patch, pathOf, shell } from './patch.ts';

/** How an example store is broken, so that it matters only when its process is killed. */
export const crashing = {
  'saves-file-by-file': savesFileByFile,
  'publishes-file-by-file': publishesFileByFile,
} satisfies Record<string, (store: Store, path: HostPath) => void>;

export type Crashing = keyof typeof crashing;

/** The copy takes a while, as it does with the files of a whole distribution. */
const SLOW_COPY = 'mkdir -p "$1"; cp -a ballast "$1" || :; sleep 0.1; cp -aT . "$1"';

/** Copies to where `lookup` finds it, with no rename at the end. */
function savesFileByFile(store: Store, path: HostPath): void {
  onPrepare(store, (active, { key }) =>
    patch(active, () => ({
      async commit() {
        await shell(await firstPath(active.volumes), SLOW_COPY, join(path, 'snapshots', key, 'rootfs'));
        const saved = await store.lookup(key);
        if (saved.isErr()) return err(saved.error);
        return ok(saved.value ?? { key, volumes: new Map() });
      },
    })),
  );
}

/** Copies over the version that is there. */
function publishesFileByFile(store: Store, path: HostPath): void {
  onCheckOut(store, (copy, id) =>
    patch(copy, () => ({
      async publish() {
        const script = 'mkdir -p "$1"; for file in *; do cp -p "$file" "$1"; sleep 0.005; done';
        await shell(await pathOf(copy.volume), script, join(path, 'caches', escapeName(id)));
        return ok();
      },
    })),
  );
}
