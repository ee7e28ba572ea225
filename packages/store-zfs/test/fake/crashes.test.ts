import { type StepKey, type Store, toCacheId } from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import type { PoolState } from './pool.ts';
import {
  brew,
  home,
  key,
  mounted,
  never,
  prepared,
  type RecordedStore,
  recordedStore,
  save,
} from './recorded-store.ts';

const cache = toCacheId('npm');
const owner = { uid: 1000, gid: 1000 };

/** What of a store a user can tell. */
interface Seen {
  readonly keys: readonly StepKey[];
  /** The guid of the newest version of the cache. */
  readonly cache: number | undefined;
  readonly image: string | undefined;
}

describe('a ZFS store that is killed after any command', () => {
  it.each<[what: string, work: (store: Store) => Promise<unknown>]>([
    ['saves a first step', (store) => save(store, { key: key(5), from: { empty: [home, brew] } })],
    ['saves a step', (store) => save(store, { key: key(5), from: { snapshot: key(1) } })],
    ['drops a step', dropped],
    ['removes a step', async (store) => expectOk(await store.remove(key(3)))],
    ['replaces a cache', publish],
    ['replaces a cache of which a copy is out', publishTwice],
    ['throws a copy of a cache away', thrownAway],
    ['removes a cache', async (store) => expectOk(await store.caches.remove(cache))],
    ['replaces a base image that a step was made from', makeImage],
    ['removes a base image', removeImages],
  ])('and %s: it has all of that or nothing, and no leftovers', async (_, work) => {
    await using place = await recordedStore();
    await fill(place.store);
    const before = await seen(place, place.store);
    place.fake.states();
    await work(place.store);
    const states = place.fake.states();
    const after = await seen(place, place.store);
    expect(states.length).toBeGreaterThan(0);
    for (const [at, state] of states.entries()) await looksLike(place, { state, at, all: [before, after] });
  });
});

async function looksLike(
  place: RecordedStore,
  { state, at, all }: { readonly state: PoolState; readonly at: number; readonly all: readonly Seen[] },
): Promise<void> {
  await place.store[Symbol.asyncDispose]();
  place.fake.restore(state);
  const store = await place.reopen();
  const now = await seen(place, store);
  const where = `after command ${at + 1}`;
  expect(
    all.map(({ keys }) => keys),
    where,
  ).toContainEqual(now.keys);
  // Two versions may have been published, one after the other.
  expect(now.cache === undefined || now.cache >= (all[0]?.cache ?? 0), where).toBe(true);
  expect(
    all.map(({ image }) => image),
    where,
  ).toContain(now.image);
  expect(leftovers(place), where).toEqual([]);
  await save(store, { key: key(9), from: { snapshot: now.keys.at(-1) ?? expect.fail('nothing is saved') } });
  expectOk(await store.remove(key(9)));
  await publish(store);
  expect(leftovers(place), where).toEqual([]);
}

async function seen({ fake }: RecordedStore, store: Store): Promise<Seen> {
  const versions = Object.keys(fake.pool.snapshots).filter((name) => /\/cache\/c-npm\/(v\d+)@\1$/.test(name));
  const guids = versions.map((name) => fake.pool.snapshots[name]?.guid ?? 0);
  return {
    keys: expectOk(await store.list()).toSorted(),
    cache: guids.length === 0 ? undefined : Math.max(...guids),
    image: expectOk((await store.baseImages?.pin('mac')) ?? expect.fail())?.digest,
  };
}

/** What is neither saved nor needed by what is saved. */
function leftovers({ fake }: RecordedStore): readonly string[] {
  const { datasets, snapshots } = fake.pool;
  const all = [...Object.keys(datasets), ...Object.keys(snapshots)].map((name) =>
    name.replace(/^[^/]+\/store\/?/, ''),
  );
  const used = Object.values(datasets).map(({ origin }) => origin?.match(/\/trash\/[^/]+/)?.[0].slice(1));
  const isNeeded = (name: string) => used.some((one) => one !== undefined && name.startsWith(one));
  const unfinished = all.filter(
    (name) =>
      /^cache-tmp\//.test(name) ||
      (/^trash\//.test(name) && !isNeeded(name)) ||
      (/^result\/[^/@]+$/.test(name) && !all.includes(`${name}@snap`)),
  );
  const versions = all.filter((name) => /^(cache|base-image)\/[^/]+\/[^/@]+$/.test(name));
  const twice = versions.filter((name) =>
    versions.some((other) => other < name && above(other) === above(name)),
  );
  const older = all.filter(
    (name) => /^cache\//.test(name) && name.includes('@') && !/\/(v\d+)@\1$/.test(name),
  );
  const mountedNow = Object.keys(datasets).filter((name) => datasets[name]?.isMounted);
  return [...unfinished, ...twice, ...older, ...mountedNow];
}

function above(name: string): string {
  return name.slice(0, name.lastIndexOf('/'));
}

async function fill(store: Store): Promise<void> {
  await makeImage(store);
  const baseImage =
    expectOk((await store.baseImages?.pin('mac')) ?? expect.fail()) ?? expect.fail('no image');
  await save(store, { key: key(1), from: { empty: [home, brew] } });
  await save(store, { key: key(2), from: { baseImage } });
  await save(store, { key: key(3), from: { snapshot: key(1) } });
  await publish(store);
}

async function dropped(store: Store): Promise<void> {
  await using active = await prepared(store, { key: key(5), from: { snapshot: key(1) } });
  await mounted(active.volumes.get(home));
}

async function publish(store: Store): Promise<void> {
  await using copy = expectOk(await store.caches.checkOut(cache, owner));
  await mounted(copy.volume);
  expectOk(await copy.publish());
}

async function publishTwice(store: Store): Promise<void> {
  await using _out = expectOk(await store.caches.checkOut(cache, owner));
  await publish(store);
  await publish(store);
}

async function thrownAway(store: Store): Promise<void> {
  await using copy = expectOk(await store.caches.checkOut(cache, owner));
  await mounted(copy.volume);
}

async function makeImage({ baseImages }: Store): Promise<void> {
  const request = { name: 'mac', volumes: [home, brew], signal: never };
  await using made = expectOk((await baseImages?.create(request)) ?? expect.fail());
  expectOk(await made.commit());
}

async function removeImages(store: Store): Promise<void> {
  expectOk(await store.remove(key(2)));
  expectOk((await store.baseImages?.remove('mac')) ?? expect.fail());
}
