import { copyFile, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { err, escapeName, type HostPath, ok, type Store } from '@snapstep/core/backend';
import { firstPath, onCheckOut, onPrepare, patch, pathOf } from './patch.ts';

/** How an example store is broken, so that it matters only when its process is killed. */
export const crashing = {
  'saves-file-by-file': savesFileByFile,
  'publishes-file-by-file': publishesFileByFile,
} satisfies Record<string, (store: Store, path: HostPath) => void>;

export type Crashing = keyof typeof crashing;

/** Copies to where `lookup` finds it, with no rename at the end. */
function savesFileByFile(store: Store, path: HostPath): void {
  onPrepare(store, (active, { key }) =>
    patch(active, () => ({
      async commit() {
        await copySlowly(await firstPath(active.volumes), join(path, 'snapshots', key, 'rootfs'));
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
        await copySlowly(await pathOf(copy.volume), join(path, 'caches', escapeName(id)));
        return ok();
      },
    })),
  );
}

/**
 * As long as it takes with the files of a whole distribution. It is done by this process, because a program that copies
 * would come to its end when its parent is killed.
 */
async function copySlowly(from: string, to: string): Promise<void> {
  await mkdir(to, { recursive: true });
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const [source, target] = [join(from, entry.name), join(to, entry.name)];
    if (entry.isDirectory()) await copySlowly(source, target);
    else await copyFile(source, target);
    await delay(1);
  }
}
