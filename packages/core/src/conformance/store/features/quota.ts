import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ActiveSnapshot, StoreWith } from '../../../backend/store.ts';
import { keeps, keepsEqual } from '../../promise.ts';
import { fillFile, MIB } from '../fill-file.ts';
import { storePromises as promises } from '../promises.ts';
import { dispose, expectOk, key, type Scene, type StoreTest, settled, within } from '../scene.ts';

const QUOTA = 16 * MIB;

/** A bound on what one active snapshot may hold. */
export function quotaTests(test: StoreTest): void {
  test('lets an active snapshot hold no more than its quota, with `ENOSPC` or `EDQUOT`', async (scene) => {
    await using active = await scene.prepare(key(1));
    await limit(scene, active);
    const filled = await within(active.volumes, (path) => fillFile(join(path, 'big'), 4 * QUOTA));
    keeps(promises.quotaLimits, filled === 'full', filled);
  });
  test('saves no snapshot that holds more than its quota', async (scene) => {
    await using active = await scene.prepare(key(1));
    await limit(scene, active);
    const filled = await within(active.volumes, (path) => fillFile(join(path, 'big'), 4 * QUOTA));
    if (filled !== 'written') return;
    const saved = await settled(active.commit());
    keeps(promises.quotaSaved, saved.isErr() && saved.error.type === 'no-space', saved);
    keepsEqual(promises.quotaSaved, await scene.list(), []);
    keepsEqual(promises.quotaSaved, await scene.lookup(key(1)), undefined);
    await dispose(active);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('says of a snapshot whether it has used up its quota', async (scene) => {
    await using full = await scene.prepare(key(1));
    await using other = await scene.prepare(key(2));
    for (const active of [full, other]) await limit(scene, active);
    const filled = await within(full.volumes, (path) => fillFile(join(path, 'big'), 4 * QUOTA));
    await within(other.volumes, (path) => writeFile(join(path, 'small'), 'fits'));
    keepsEqual(promises.quotaUsedUp, await isUsedUp(scene, full), true);
    keepsEqual(promises.quotaUsedUp, await isUsedUp(scene, other), false);
    // What was refused when it was saved is remembered.
    if (filled === 'written' && (await settled(full.commit())).isErr())
      keepsEqual(promises.quotaUsedUp, await isUsedUp(scene, full), true);
  });
  test('lets all others go on, and the same step can be tried again', async (scene) => {
    await using full = await scene.prepare(key(1));
    await limit(scene, full);
    await within(full.volumes, (path) => fillFile(join(path, 'big'), 4 * QUOTA));
    await using other = await scene.prepare(key(2));
    const filled = await within(other.volumes, (path) => fillFile(join(path, 'big'), 2 * QUOTA));
    keepsEqual(promises.quotaOthers, filled, 'written');
    await expectOk(other.commit(), promises.quotaOthers);
    await dispose(full);
    await scene.save(key(1), async (path) => {
      keepsEqual(promises.quotaOthers, await fillFile(join(path, 'big'), 2 * QUOTA), 'written');
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
        keepsEqual(promises.quotaOthers, await fillFile(join(path, 'big'), 2 * QUOTA), 'written');
      },
      key(1),
    );
  });
}

function isUsedUp(scene: Scene, active: ActiveSnapshot): Promise<boolean> {
  const { quota } = scene.store as StoreWith<'quota'>;
  return expectOk(quota.isUsedUp(active), promises.quotaUsedUp);
}

function limit(scene: Scene, active: ActiveSnapshot): Promise<void> {
  const { quota } = scene.store as StoreWith<'quota'>;
  return expectOk(quota.limit(active, QUOTA), promises.quotaLimits);
}
