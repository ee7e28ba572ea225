import { writeSync } from 'node:fs';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CacheId, toCacheId, toVolumeName, type VolumeName } from '../../backend/names.ts';
import type { Store } from '../../backend/store.ts';
import { expectOk, key, mounted } from '../store/scene.ts';

export const cache: CacheId = toCacheId('churned');
/** Several, which are saved at once or not at all. */
export const volumeNames: readonly VolumeName[] = ['brew', 'home'].map(toVolumeName);
/** How many files in each volume each step rewrites; all of them say the step's number. */
export const fileCount = 30;
/** How the name of a file begins that is there only while a step runs. */
export const dirtName = 'dirt';
const nobody = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

/**
 * Saves, removes and publishes for ever, and says on standard output what is done: `saved N`, `removed N`.
 * A process that does nothing else is what `crashSuite` kills.
 */
export async function churn(store: Store): Promise<never> {
  const saved = await expectOk(store.list());
  for (let number = saved.length; ; number += 1) {
    await saveNext(store, { number, parent: number - 1 });
    writeSync(1, `saved ${number}\n`);
    await saveNext(store, { number: leaf(number), parent: number });
    await expectOk(store.remove(key(leaf(number))));
    writeSync(1, `removed ${leaf(number)}\n`);
    await publishNext(store, number);
  }
}

/** The number of a snapshot that is removed again as soon as it is saved. */
export function leaf(number: number): number {
  return number + 1_000_000;
}

async function saveNext(
  store: Store,
  step: { readonly number: number; readonly parent: number },
): Promise<void> {
  const from = step.parent < 0 ? { empty: volumeNames } : { snapshot: key(step.parent) };
  const signal = new AbortController().signal;
  await using active = await expectOk(store.prepare({ key: key(step.number), from, signal }));
  for (const volume of active.volumes.values()) {
    await mounted(volume, async (path) => {
      // The next attempt at this key is another process: it would not take this away.
      const dirt = join(path, `${dirtName}-${process.pid}`);
      await writeFile(dirt, '');
      if (step.parent < 0) await writeBallast(path);
      await writeVersion(path, step.number);
      await rm(dirt);
    });
  }
  await expectOk(active.commit());
}

async function publishNext(store: Store, number: number): Promise<void> {
  await using copy = await expectOk(store.caches.checkOut(cache, nobody));
  await mounted(copy.volume, (path) => writeVersion(path, number));
  await expectOk(copy.publish());
}

/** Enough to make a copy take a while. */
async function writeBallast(path: string): Promise<void> {
  await mkdir(join(path, 'ballast'));
  for (let file = 0; file < 200; file += 1) await writeFile(join(path, `ballast/${file}`), 'x'.repeat(5000));
}

async function writeVersion(path: string, number: number): Promise<void> {
  for (let file = 0; file < fileCount; file += 1) await writeFile(join(path, `${file}`), `${number}`);
}
