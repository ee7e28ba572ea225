import { toCacheId, toHostPath } from '@snapstep/core/backend';
import { describe, expect, it } from 'vitest';
import { takeInventory } from '../src/inventory.ts';
import { Layout } from '../src/layout.ts';
import type { DatasetRow } from '../src/zfs.ts';

const KEY = 'a'.repeat(64);
const layout = new Layout('p', toHostPath('/run/store'));

/** Rows as `zfs list` gives them, of names with what differs from the usual. */
function rows(names: Readonly<Record<string, Partial<DatasetRow>>>): DatasetRow[] {
  const usual = { guid: '1', origin: '-', mounted: 'no', mountpoint: 'none', written: '0' };
  const none = { 'snapstep:volumes': '-', 'snapstep:id': '-' };
  return Object.entries(names).map(([name, row]) => ({ name, ...usual, ...none, ...row }));
}

function volume(dataset: string): Record<string, Partial<DatasetRow>> {
  return { [dataset]: {}, [`${dataset}@snap`]: {} };
}

describe('what lies in the dataset of a store', () => {
  const container = { [`p/result/${KEY}`]: {} };
  const saved = { [`p/result/${KEY}@snap`]: { 'snapstep:volumes': 'home,brew' } };
  const whole = {
    ...{ ...container, ...saved },
    ...{ ...volume(`p/result/${KEY}/home`), ...volume(`p/result/${KEY}/brew`) },
  };

  it('is a snapshot if all its volumes are there with their snapshots', () => {
    const { results, leftovers } = takeInventory(layout, rows(whole));
    expect([...results].map(([key, volumes]) => [key, volumes.map(({ name }) => name)])).toEqual([
      [KEY, ['home', 'brew']],
    ]);
    expect(leftovers).toEqual([]);
  });

  it('is no snapshot if any part of it is missing (Z15, M1)', () => {
    for (const missing of Object.keys(whole)) {
      const rest = Object.fromEntries(Object.entries(whole).filter(([name]) => name !== missing));
      expect(takeInventory(layout, rows(rest)).results.size, missing).toBe(0);
    }
    const { [`p/result/${KEY}@snap`]: _, ...unfinished } = whole;
    expect(takeInventory(layout, rows(unfinished)).leftovers).toEqual([`p/result/${KEY}`]);
  });

  it('is the newest version of a cache that has its snapshot, and leftovers', () => {
    const cache = {
      ...{ 'p/cache/c-apt': {}, 'p/cache/c-apt/v9': {}, 'p/cache/c-apt/v9@v9': {} },
      ...{ 'p/cache/c-apt/v10': { origin: 'p/cache/c-apt/v9@v9' }, 'p/cache/c-apt/v10@v10': {} },
      ...{ 'p/cache/c-apt/v11': {}, 'p/cache/c-empty': {}, 'p/cache-tmp/x-1': {}, 'p/trash/x-2': {} },
    };
    const { caches, leftovers, nextVersion } = takeInventory(layout, rows(cache));
    expect([...caches]).toEqual([
      [toCacheId('apt'), { dataset: 'p/cache/c-apt/v10', number: 10, origin: 'p/cache/c-apt/v9@v9' }],
    ]);
    expect([...leftovers].sort()).toEqual(
      ['cache-tmp/x-1', 'cache/c-apt/v11', 'cache/c-apt/v9', 'cache/c-empty', 'trash/x-2'].map(
        (name) => `p/${name}`,
      ),
    );
    expect(nextVersion).toBe(12);
  });

  it('counts versions by their own names, whatever the names above and below them are', () => {
    const below = new Layout('p/v1', toHostPath('/run/store'));
    const found = {
      ...{ 'p/v1/cache/c-v9': {}, 'p/v1/cache/c-v9/v4': {}, 'p/v1/cache/c-v9/v4@v4': {} },
      ...{ 'p/v1/base-image/c-a': {}, 'p/v1/base-image/c-a/v3': {}, 'p/v1/base-image/c-a/v3/v888': {} },
      ...{ 'p/v1/cache-tmp/x-1@v7': {}, [`p/v1/result/${KEY}/v99999999999999999999999999999`]: {} },
    };
    expect(takeInventory(below, rows(found)).nextVersion).toBe(8);
  });

  it('is a leftover where somebody else named it, and keeps nobody from opening the store', () => {
    const odd = { ...container, [`p/result/${KEY}@snap`]: { 'snapstep:volumes': 'home,Not_a_volume' } };
    const named = { ...odd, ...volume(`p/result/${KEY}/home`), ...volume(`p/result/${KEY}/Not_a_volume`) };
    const foreign = { 'p/result/x': {}, 'p/cache/x': {}, 'p/cache/x/v1': {}, 'p/cache/x/v1@v1': {} };
    const version = 'p/cache/c-a/v99999999999999999999';
    const huge = { 'p/cache/c-a': {}, [version]: {}, [`${version}@v100000000000000000000`]: {} };
    const found = takeInventory(layout, rows({ ...named, ...foreign, ...huge }));
    expect([found.results.size, found.caches.size]).toEqual([0, 0]);
    expect([...found.leftovers].sort()).toEqual(
      ['cache/c-a', 'cache/x', `result/${KEY}`, 'result/x'].map((name) => `p/${name}`),
    );
  });

  it('is known by its property where the id of a cache was too long for a name', () => {
    const id = toCacheId('ä'.repeat(300));
    const { dataset, isHashed } = layout.cache(id);
    expect(isHashed).toBe(true);
    const property = Buffer.from(id).toString('base64url');
    const { caches } = takeInventory(
      layout,
      rows({ [dataset]: { 'snapstep:id': property }, [`${dataset}/v1`]: {}, [`${dataset}/v1@v1`]: {} }),
    );
    expect([...caches.keys()]).toEqual([id]);
  });

  it('is unmounted at open if it was left mounted, and rolled back if it was written to', () => {
    const home = `p/result/${KEY}/home`;
    const found = takeInventory(
      layout,
      rows({ ...whole, [home]: { mounted: 'yes', written: '512' }, 'p/trash/x-1': { mounted: 'yes' } }),
    );
    expect(found.mounted).toEqual([
      { dataset: home, mountpoint: 'none', leftover: undefined },
      { dataset: 'p/trash/x-1', mountpoint: 'none', leftover: 'p/trash/x-1' },
    ]);
    const touched = [...found.results.values()].flat().filter(({ isTouched }) => isTouched);
    expect(touched.map(({ dataset }) => dataset)).toEqual([home]);
  });
});
