import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { UsageAxis } from '../../backend/store.ts';
import { expectOk, key, type Scene, type StoreTest } from './scene.ts';

/** What the store says about what can run out. */
export function usageTests(test: StoreTest): void {
  test('tells each axis once, with no more used than there is (B3)', async (scene) => {
    const usage = await expectOk(scene.store.usage());
    assert.equal(new Set(usage.map(({ axis }) => axis)).size, usage.length);
    for (const { axis, used, total } of usage) {
      assert.ok(Number.isSafeInteger(used) && used >= 0, `${axis}: ${used} are used`);
      assert.ok(total === undefined || (Number.isSafeInteger(total) && used <= total), `${axis} of ${total}`);
    }
    assert.ok(usage.some(({ axis }) => axis === 'bytes'));
  });
  test('counts one object more for each snapshot, where it counts them', async (scene) => {
    const before = await axis(scene, 'objects');
    if (before === undefined) return;
    await scene.save(key(1), (path) => writeFile(join(path, 'f'), 'x'));
    const after = await axis(scene, 'objects');
    assert.ok(after && after.used > before.used);
    await expectOk(scene.store.remove(key(1)));
    assert.equal((await axis(scene, 'objects'))?.used, before.used);
  });
  test('settles `reclaimed` also where nothing was removed', async (scene) => {
    await expectOk(scene.store.reclaimed());
    await expectOk(scene.store.reclaimed(new AbortController().signal));
  });
}

async function axis(scene: Scene, name: UsageAxis['axis']): Promise<UsageAxis | undefined> {
  return (await expectOk(scene.store.usage())).find((candidate) => candidate.axis === name);
}
