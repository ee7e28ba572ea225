import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { bootId } from '../../src/backend/boot-id.ts';
import { systemClock } from '../../src/backend/clock.ts';
import { restoreIndex } from '../../src/build/restore-index.ts';
import { StepRecords } from '../../src/build/step-records.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { err, failed, type KeyedInputs, type StepKey, stepKey, toHostPath } from '../../src/index.ts';
import { memoryStore } from '../../src/testing/index.ts';
import { save } from '../testing/store-scene.ts';

const BASE: KeyedInputs = { op: 'base', digest: 'sha256:a', platform: 'linux/amd64', layout: [] };
const EARLIER = 'an earlier boot';

describe('an index that is lost', () => {
  it('gets back what a step is built on, its title and its kind, in whatever order the store lists them', async () => {
    await using place = await openPlace();
    const [base, a, b, c] = place.chain(['a', 'b', 'c']);
    for (const key of [c, base, b, a]) await place.save(key);
    const before = Date.now();
    expectOk(await place.restore(undefined));
    const steps = place.index.list();
    const wanted = [
      { key: base, parent: undefined, title: 'base' },
      { key: a, parent: base, title: 'a' },
      { key: b, parent: a, title: 'b' },
      { key: c, parent: b, title: 'c' },
    ];
    expect(steps).toHaveLength(4);
    for (const step of wanted) {
      expect(steps).toContainEqual({
        ...{ ...step, savedAt: expect.any(Date), usedAt: expect.any(Date), milliseconds: 0 },
      });
    }
    for (const { savedAt, usedAt } of steps) {
      expect(savedAt.getTime()).toBeGreaterThanOrEqual(before);
      expect(usedAt).toEqual(savedAt);
    }
    expect([place.index.similar('base', 9), place.index.similar('run', 9).toSorted()]).toEqual([
      [base],
      [a, b, c].toSorted(),
    ]);
  });

  it('gets back a step of whose parent nothing is known, as one that is built on nothing', async () => {
    await using place = await openPlace();
    const [, , b] = place.chain(['a', 'b']);
    await place.save(b);
    expectOk(await place.restore(undefined));
    expect(place.index.list()).toMatchObject([{ key: b, parent: undefined }]);
  });

  it('gets back no step that has no record, or the record of another', async () => {
    await using place = await openPlace();
    const [base, a, b] = place.chain(['a', 'b']);
    await place.save(base);
    await place.save(a, { record: false });
    await place.save(b, { inputs: BASE });
    expectOk(await place.restore(undefined));
    expect(place.index.list()).toMatchObject([{ key: base }]);
  });

  it('stays empty where the store cannot say what it has', async () => {
    await using place = await openPlace();
    const broken = failed('the disk does not answer');
    place.store.list = async () => err(broken);
    expect(expectErr(await place.restore(undefined))).toEqual(broken);
    expect(place.index.isUnfilled).toBe(true);
  });

  it.each([
    ['this boot, where no boot was noted', bootId(), undefined, true],
    ['this boot, which was noted', bootId(), bootId(), true],
    ['this boot, where another one was noted', bootId(), EARLIER, true],
    ['an earlier boot, where no boot was noted', EARLIER, undefined, false],
    ['the boot that was noted last', EARLIER, EARLIER, false],
    ['a boot before the one that was noted last', 'the first boot', EARLIER, true],
    ['an earlier boot, where this one was noted', EARLIER, bootId(), true],
  ])('gets back a step of %s only if that is durable', async (_, boot, lastBoot, isBack) => {
    await using place = await openPlace();
    const [base] = place.chain([]);
    await place.save(base, { boot });
    expectOk(await place.restore(lastBoot));
    expect(place.index.list().map(({ key }) => key)).toEqual(isBack ? [base] : []);
    expect([...place.index.unsynced]).toEqual(boot === bootId() ? [base] : []);
  });
});

async function openPlace() {
  const [dir, store] = [await tempDir(), await memoryStore()];
  const index = IndexDb.open(toHostPath(dir.path), systemClock);
  const steps = toHostPath(join(dir.path, 'steps'));
  const records = new StepRecords(steps);
  const inputsOf = new Map<StepKey, { readonly inputs: KeyedInputs; readonly title: string }>();
  const add = (inputs: KeyedInputs, title: string): StepKey => {
    const key = stepKey(inputs);
    inputsOf.set(key, { inputs, title });
    return key;
  };
  return {
    index,
    store,
    /** The keys of a base image, and of commands of which each is built on the one before. */
    chain: (commands: readonly string[]): StepKey[] => {
      const keys = [add(BASE, 'base')];
      for (const command of commands) keys.push(add(run(keys.at(-1) as StepKey, command), command));
      return keys;
    },
    save: async (
      key: StepKey | undefined,
      how: { readonly record?: boolean; readonly inputs?: KeyedInputs; readonly boot?: string } = {},
    ): Promise<void> => {
      const step = key && inputsOf.get(key);
      if (step === undefined) throw new Error('there is no such step');
      await save(store, { at: key as StepKey, files: {} });
      if (how.record === false) return;
      const { title, inputs } = { ...step, ...how };
      await records.write(key as StepKey, { inputs, title, image: { env: {} } });
      if (how.boot === undefined) return;
      const path = join(steps, `${key}`.slice(0, 2), `${key}.json`);
      await writeFile(path, JSON.stringify({ ...JSON.parse(await readFile(path, 'utf8')), boot: how.boot }));
    },
    restore: (lastBoot: string | undefined) => restoreIndex({ index, store, records, lastBoot }),
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

function run(parent: StepKey, command: string): KeyedInputs {
  return {
    ...{ op: 'run', parent, argv: ['sh', '-c', command], cwd: '', env: {}, network: 'none' },
    ...{ caches: [], secrets: [] },
  };
}
