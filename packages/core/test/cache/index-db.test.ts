import { expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { systemClock } from '../../src/backend/clock.ts';
import { IndexDb } from '../../src/cache/index-db.ts';
import { type StepKey, toHostPath, toStepKey } from '../../src/index.ts';
import { built, openWorld, writes } from '../build/world.ts';

describe('the index', () => {
  // OBuilder declared its foreign keys, and never turned them on.
  it('refuses a step whose parent it does not know, and a name for one (P14)', async () => {
    await using place = await openIndex();
    const step = { parent: key(9), op: 'run', title: 'run' };
    expect(() => place.index.begin(key(1), step)).toThrow('FOREIGN KEY');
    expect(() => place.index.alias(key(2), key(9))).toThrow('FOREIGN KEY');
    expect([...place.index.states().keys()]).toEqual([]);
  });

  it('forgets with a step what was known by its names, and keeps its children (P14)', async () => {
    await using place = await openIndex();
    const { index } = place;
    save(index, key(1), undefined);
    save(index, key(2), key(1));
    index.alias(key(3), key(1));
    index.forget(key(1));
    expect(index.resolveAlias(key(3))).toBeUndefined();
    expect(index.list().map((step) => [step.key, step.parent])).toEqual([[key(2), undefined]]);
  });

  it('says of no step that was removed and made again that it has children it has lost (P13)', async () => {
    await using place = await openIndex();
    const { index } = place;
    save(index, key(1), undefined);
    for (let time = 0; time < 3; time += 1) {
      save(index, key(2), key(1));
      expect(index.hasChildren(key(1))).toBe(true);
      index.forget(key(2));
    }
    expect(index.hasChildren(key(1))).toBe(false);
    expect(index.firstLeaf(() => true)?.key).toBe(key(1));
  });
});

describe('a builder whose steps were pruned in every order', () => {
  it('has none that keeps another for ever (P13)', async () => {
    const names = ['a', 'b', 'c'];
    await using world = await openWorld(Object.fromEntries(names.map((name) => [name, writes(name)])));
    for (let round = 0; round < 3; round += 1) {
      for (const name of names) {
        await built(world.builder, `((from base) (run (shell a)) (run (shell ${name})))`);
        expectOk(await world.builder.prune({ limit: 1 }));
      }
    }
    expectOk(await world.builder.prune({}));
    expect(expectOk(await world.store.list())).toEqual([]);
  });
});

async function openIndex(): Promise<AsyncDisposable & { readonly index: IndexDb }> {
  const dir = await tempDir();
  const index = IndexDb.open(toHostPath(dir.path), systemClock);
  return {
    index,
    [Symbol.asyncDispose]: async () => {
      index[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

function save(index: IndexDb, at: StepKey, parent: StepKey | undefined): void {
  index.begin(at, { parent, op: 'run', title: 'run' });
  index.saved(at, 1);
}

function key(number: number): StepKey {
  return toStepKey(number.toString(16).padStart(64, '0'));
}
