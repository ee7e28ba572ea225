import { randomBytes } from 'node:crypto';
import { open, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { StepKey } from '../../backend/names.ts';
import type { UsageAxis } from '../../backend/store.ts';
import { hostTool } from '../host-tool.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { storePromises as promises } from './promises.ts';
import { expectOk, key, type Scene, type StoreTest } from './scene.ts';

const SIZE = 8 * 1024 * 1024;

/** What the store says about what can run out. */
export function usageTests(test: StoreTest): void {
  test('tells each axis once, with no more used than there is (B3)', async (scene) => {
    const usage = await expectOk(scene.store.usage());
    const axes = usage.map(({ axis }) => axis);
    keepsEqual(promises.usageAxes, axes, [...new Set(axes)]);
    keeps(promises.usageAxes, axes.includes('bytes'), axes);
    for (const { axis, used, total } of usage) {
      keeps(promises.usageAxes, Number.isSafeInteger(used) && used >= 0, `${axis}: ${used} are used`);
      const fits = total === undefined || (Number.isSafeInteger(total) && used <= total);
      keeps(promises.usageAxes, fits, `${axis}: ${used} of ${total}`);
    }
  });
  test('counts the bytes that are saved', async (scene) => {
    // Somebody else may delete files from the same disk at the same time; hardly twice in a row.
    const grown: number[] = [];
    while (grown.length < 2 && !grown.some((bytes) => bytes >= SIZE / 2)) {
      grown.push(await grownBytes(scene, key(grown.length)));
    }
    keeps(promises.usageBytes, Math.max(...grown) >= SIZE / 2, `${grown} bytes more are used by ${SIZE}`);
  });
  test('counts one object more for each snapshot, where it counts them (Z9)', async (scene) => {
    const before = await axis(scene, 'objects');
    if (before === undefined) return;
    await scene.save(key(1), (path) => writeFile(join(path, 'f'), 'x'));
    const after = await axis(scene, 'objects');
    keeps(promises.usageObjects, (after?.used ?? 0) > before.used, { before, after });
    await expectOk(scene.store.remove(key(1)));
    await expectOk(scene.store.reclaimed());
    keepsEqual(promises.usageObjects, (await axis(scene, 'objects'))?.used, before.used);
  });
  test('settles `reclaimed` also where nothing was removed', async (scene) => {
    await expectOk(scene.store.reclaimed(), promises.reclaimed);
    await expectOk(scene.store.reclaimed(new AbortController().signal), promises.reclaimed);
  });
}

async function axis(scene: Scene, name: UsageAxis['axis']): Promise<UsageAxis | undefined> {
  return (await expectOk(scene.store.usage())).find((candidate) => candidate.axis === name);
}

/** How much `usage` goes up when random bytes are saved. */
async function grownBytes(scene: Scene, at: StepKey): Promise<number> {
  const used = async () => (await axis(scene, 'bytes'))?.used ?? 0;
  const before = await used();
  await scene.save(at, (path) => writeSynced(join(path, 'random'), SIZE));
  // Some disks count what was written only seconds later, and what is not on them yet not at all.
  await eventually(async () => (await used()) - before >= SIZE / 2);
  return (await used()) - before;
}

async function writeSynced(path: string, size: number): Promise<void> {
  await using file = await open(path, 'w');
  await file.write(randomBytes(size));
  await file.sync();
  // Btrfs counts the bytes of a file with its next transaction, half a minute later.
  if (process.platform === 'linux') await hostTool('sync', ['-f', path]);
}

/** Asks for ten seconds. */
async function eventually(holds: () => Promise<boolean>): Promise<boolean> {
  for (let time = 0; time < 50; time += 1) {
    if (await holds()) return true;
    await delay(200);
  }
  return holds();
}
