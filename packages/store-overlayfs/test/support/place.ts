import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isStepKey, parseMountPoints, toHostPath } from '@snapstep/core/backend';
import type { CrashPlace, StorePlace } from '@snapstep/core/conformance';
import { expectOk } from '@snapstep/test-support';
import { type OverlayfsStoreOptions, openOverlayfsStore } from '../../src/index.ts';

type Disk = { readonly path: string } & AsyncDisposable;
type Options = Omit<OverlayfsStoreOptions, 'path'>;

const script = fileURLToPath(new URL('./churn-process.ts', import.meta.url));

/** A store in a directory that goes when `disk` does. */
export async function place(disk: Disk, options: Options = {}): Promise<StorePlace> {
  const open = () => openOverlayfsStore({ ...options, path: toHostPath(join(disk.path, 'store')) });
  return {
    store: expectOk(await open()),
    reopen: async () => expectOk(await open()),
    openSecond: open,
    mounts: async () => (await mountsIn(disk.path)).length,
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

export function crashPlace(disk: Disk): CrashPlace {
  const path = toHostPath(join(disk.path, 'store'));
  return {
    command: [process.execPath, script, path],
    open: async () => expectOk(await openOverlayfsStore({ path })),
    leftovers: () => leftovers(path),
    [Symbol.asyncDispose]: () => disk[Symbol.asyncDispose](),
  };
}

/** The mount points in a directory. */
export async function mountsIn(path: string): Promise<readonly string[]> {
  const points = parseMountPoints(await readFile('/proc/self/mountinfo', 'utf8'));
  return points.filter((point) => point.startsWith(`${path}/`));
}

/** Mounts, layers that no record names, and files of unfinished work. */
async function leftovers(path: string): Promise<readonly string[]> {
  const used = new Set(['0']);
  for (const directory of ['snapshots', 'caches']) {
    for (const name of await readdir(join(path, directory))) {
      const record: Record<string, string[]> = JSON.parse(
        await readFile(join(path, directory, name), 'utf8'),
      );
      for (const id of Object.values(record).flat()) used.add(id);
    }
  }
  const layers = await readdir(join(path, 'layers'));
  const snapshots = await readdir(join(path, 'snapshots'));
  const temporary = await readdir(join(path, 'temporary'), { recursive: true });
  return [
    ...(await mountsIn(path)),
    ...layers.filter((id) => !used.has(id)),
    ...snapshots.filter((name) => !isStepKey(name)),
    ...temporary.slice(1),
  ];
}
