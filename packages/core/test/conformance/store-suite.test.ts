import { storeSuite } from '@snapstep/core/conformance';
import { describe, expect, it } from 'vitest';
import { memorySuite } from './memory-place.ts';

type Tests = Map<string, () => Promise<void>>;

/** The tests of the suite, by title, and none of them run. */
function collect(options: Parameters<typeof storeSuite>[1]): Tests {
  const tests: Tests = new Map();
  storeSuite({ test: (title, run) => void tests.set(title, run) }, options);
  return tests;
}

describe('storeSuite', () => {
  it('refuses to leave out what is neither a topic nor the title of a test', () => {
    const except = [...memorySuite.except, 'load', 'keeps device nods'];
    expect(() => collect({ ...memorySuite, except })).toThrow('no topic and no test "keeps device nods"');
  });
  it('leaves out a topic, and a single test', () => {
    const all = [...collect({ ...memorySuite, except: [] }).keys()];
    const some = [...collect({ ...memorySuite, except: ['load', 'keeps a named pipe'] }).keys()];
    const gone = all.filter((title) => !some.includes(title));
    expect(gone).toContain('store: content: keeps a named pipe');
    expect(gone.filter((title) => !title.startsWith('store: load: '))).toHaveLength(1);
    expect(gone.length).toBeGreaterThan(3);
  });
  it('says of a failed test which promise was broken, and shows what is in the store', async () => {
    const test = collect({ ...memorySuite, except: [] }).get(
      'store: isolation: refuses to write into a saved volume',
    );
    const error = await test?.().catch((reason: Error) => reason.message);
    expect(error).toMatch(
      /^broken promise: the volumes of a saved snapshot are read-only\nseen: 'it was written to'/,
    );
    expect(error).toContain('\nin the store:\n1 snapshots\n');
    expect(error).toContain('"dir/linked" 100644');
  });
  it('fails where a store has a feature that it was not told of', async () => {
    const tests = collect({ ...memorySuite, features: ['quota'] });
    const test = tests.get(
      'store: features: has each feature that the suite was told of, whole, and no other',
    );
    await expect(test?.()).rejects.toThrow('the store has the property `placement`');
  });
  it('repeats random sequences by their seed', async () => {
    const [once, again, other] = [await preparedBy(7), await preparedBy(7), await preparedBy(8)];
    expect(once.length).toBeGreaterThan(3);
    expect(again).toEqual(once);
    expect(other).not.toEqual(once);
  });
});

/** The keys that the sequences of a seed prepare, in their order. */
async function preparedBy(seed: number): Promise<readonly string[]> {
  const keys: string[] = [];
  const open = async () => {
    const place = await memorySuite.open();
    const prepare = place.store.prepare.bind(place.store);
    place.store.prepare = (request) => {
      keys.push(request.key);
      return prepare(request);
    };
    return place;
  };
  const tests = collect({ ...memorySuite, open, seed, scale: 0.1 });
  await tests.get('store: sequences: holds what a model of it holds, after any sequence of calls')?.();
  return keys;
}
