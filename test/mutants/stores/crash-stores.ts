import { copyFile, mkdir, readdir, rename } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { err, escapeName, type HostPath, ok, type Store } from '@snapstep/core/backend';
import { onCheckOut, onPrepare, patch, pathOf } from './patch.ts';

/** How an example store is broken, so that it matters only when its process is killed. */
export const crashing = {
  'saves-file-by-file': savesFileByFile,
  'publishes-file-by-file': publishesFileByFile,
  'saves-volume-by-volume': savesVolumeByVolume,
  'lock-given-up-at-once': givesUpLock,
} satisfies Record<string, (store: Store, path: HostPath) => void>;

export type Crashing = keyof typeof crashing;

/** Copies to where `lookup` finds it, with no rename at the end. */
function savesFileByFile(store: Store, path: HostPath): void {
  onPrepare(store, (active, { key }) =>
    patch(active, () => ({
      async commit() {
        for (const name of active.volumes.keys()) {
          await mkdir(join(path, 'snapshots', key, name), { recursive: true });
        }
        for (const [name, volume] of active.volumes) {
          await copySlowly(await pathOf(volume), join(path, 'snapshots', key, name));
        }
        const saved = await store.lookup(key);
        if (saved.isErr()) return err(saved.error);
        return ok(saved.value ?? { key, volumes: new Map() });
      },
    })),
  );
}

/** A rename for each volume, where there is one for all of them in a healthy store. */
function savesVolumeByVolume(store: Store, path: HostPath): void {
  onPrepare(store, (active, { key }) =>
    patch(active, () => ({
      async commit() {
        await mkdir(join(path, 'snapshots', key));
        for (const [name, volume] of active.volumes) {
          await rename(await pathOf(volume), join(path, 'snapshots', key, name));
          await delay(60);
        }
        const saved = await store.lookup(key);
        if (saved.isErr()) return err(saved.error);
        return ok(saved.value ?? { key, volumes: new Map() });
      },
    })),
  );
}

/** As a lock that is known only to the process. */
function givesUpLock(store: Store): void {
  void store[Symbol.asyncDispose]();
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
