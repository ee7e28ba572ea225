import { randomBytes } from 'node:crypto';
import { open, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDiskFull } from '../../../backend/disk-full.ts';
import type { ActiveSnapshot, StoreWith } from '../../../backend/store.ts';
import { keeps, keepsEqual } from '../../promise.ts';
import { storePromises as promises } from '../promises.ts';
import { dispose, expectOk, key, type Scene, type StoreTest, settled, within } from '../scene.ts';

const MIB = 1024 * 1024;
const QUOTA = 16 * MIB;

/** A bound on what one active snapshot may hold. */
export function quotaTests(test: StoreTest): void {
  test('lets an active snapshot hold no more than its quota, with `ENOSPC` or `EDQUOT`', async (scene) => {
    await using active = await scene.prepare(key(1));
    await limit(scene, active);
    const filled = await within(active.volumes, (path) => fill(join(path, 'big'), 4 * QUOTA));
    keeps(promises.quotaLimits, filled === 'full', filled);
  });
  test('saves no snapshot that holds more than its quota', async (scene) => {
    await using active = await scene.prepare(key(1));
    await limit(scene, active);
    const filled = await within(active.volumes, (path) => fill(join(path, 'big'), 4 * QUOTA));
    if (filled !== 'written') return;
    const saved = await settled(active.commit());
    keeps(promises.quotaSaved, saved.isErr() && saved.error.type === 'no-space', saved);
    keepsEqual(promises.quotaSaved, await scene.list(), []);
    keepsEqual(promises.quotaSaved, await scene.lookup(key(1)), undefined);
    await dispose(active);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('lets all others go on, and the same step can be tried again', async (scene) => {
    await using full = await scene.prepare(key(1));
    await limit(scene, full);
    await within(full.volumes, (path) => fill(join(path, 'big'), 4 * QUOTA));
    await using other = await scene.prepare(key(2));
    const filled = await within(other.volumes, (path) => fill(join(path, 'big'), 2 * QUOTA));
    keepsEqual(promises.quotaOthers, filled, 'written');
    await expectOk(other.commit(), promises.quotaOthers);
    await dispose(full);
    await scene.save(key(1), async (path) => {
      keepsEqual(promises.quotaOthers, await fill(join(path, 'big'), 2 * QUOTA), 'written');
    });
  });
  test('saves what fits into the quota, and a child is not bound by it', async (scene) => {
    await using active = await scene.prepare(key(1));
    await limit(scene, active);
    await within(active.volumes, (path) => writeFile(join(path, 'small'), 'fits'));
    await expectOk(active.commit());
    await scene.save(
      key(2),
      async (path) => {
        keepsEqual(promises.quotaOthers, await readFile(join(path, 'small'), 'utf8'), 'fits');
        keepsEqual(promises.quotaOthers, await fill(join(path, 'big'), 2 * QUOTA), 'written');
      },
      key(1),
    );
  });
}

function limit(scene: Scene, active: ActiveSnapshot): Promise<void> {
  const { quota } = scene.store as StoreWith<'quota'>;
  return expectOk(quota.limit(active, QUOTA), promises.quotaLimits);
}

/** Random bytes, which no disk makes smaller, and to the disk, where they are counted. */
async function fill(path: string, size: number): Promise<string | undefined> {
  try {
    await using file = await open(path, 'w');
    for (let written = 0; written < size; written += MIB) {
      await file.write(randomBytes(MIB));
      if ((written / MIB) % 8 === 7) await file.sync();
    }
    await file.sync();
    return 'written';
  } catch (error) {
    const failure = error as NodeJS.ErrnoException;
    return isDiskFull(failure) ? 'full' : failure.code;
  }
}
