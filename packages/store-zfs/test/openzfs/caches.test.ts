import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type CacheCopy, type CacheId, toCacheId } from '@snapstep/core/backend';
import { expectOk, needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import type { ZfsStore } from '../../src/index.ts';
import { leftoversIn } from '../support/leftovers.ts';
import { openWorld, us } from './support/world.ts';

const BUILDS = 10;
const ROUNDS = 3;
const FILES = ['a', 'b', 'c'];
const cache = toCacheId('downloads');

needs('root', 'openzfs')('a cache on OpenZFS', () => {
  it('is the version of one build, whole, while ten builds replace it (Z3) (Z4) (V7)', async () => {
    await using world = await openWorld();
    const inTurn = oneAtATime();
    const builds = Array.from({ length: BUILDS }, (_, number) => build(world.store, { number, inTurn }));
    await Promise.all(builds);
    await using newest = expectOk(await world.store.caches.checkOut(cache, us));
    expect(await versionIn(newest)).toMatch(/^build \d round \d$/);
    await newest[Symbol.asyncDispose]();
    expect(await leftoversIn(world)).toEqual([]);
  });

  it('is after a new opening what was published last, without the versions before it', async () => {
    await using world = await openWorld();
    const { caches } = world.store;
    const held: CacheCopy[] = [];
    for (const version of ['1', '2', '3']) {
      held.push(expectOk(await caches.checkOut(cache, us)));
      await using copy = expectOk(await caches.checkOut(cache, us));
      await writeVersion(copy, version);
      expectOk(await copy.publish());
    }
    const store = await world.reopen();
    expect(await leftoversIn(world)).toEqual([]);
    await using newest = expectOk(await store.caches.checkOut(cache, us));
    expect(await versionIn(newest)).toBe('3');
    expect(held).toHaveLength(3);
  });
});

interface Build {
  readonly number: number;
  readonly inTurn: <T>(work: () => PromiseLike<T>) => Promise<T>;
}

/** As a builder does: copies are used at the same time, calls about one cache are not. */
async function build(store: ZfsStore, { number, inTurn }: Build): Promise<void> {
  for (let round = 1; round <= ROUNDS; round += 1) {
    const copy = await inTurn(() => checkOut(store, cache));
    const before = await versionIn(copy);
    if (before !== undefined) expect(before).toMatch(/^build \d round \d$/);
    await writeVersion(copy, `build ${number} round ${round}`);
    // Each third build throws its copy away.
    if (number % 3 === 2) await inTurn(async () => copy[Symbol.asyncDispose]());
    else expectOk(await inTurn(() => copy.publish()));
  }
}

async function checkOut(store: ZfsStore, id: CacheId): Promise<CacheCopy> {
  return expectOk(await store.caches.checkOut(id, us));
}

async function writeVersion(copy: CacheCopy, version: string): Promise<void> {
  await using mounted = expectOk(await copy.volume.mount());
  for (const file of FILES) await writeFile(join(mounted.path, file), version);
}

/** Undefined if the cache is empty. */
async function versionIn(copy: CacheCopy): Promise<string | undefined> {
  await using mounted = expectOk(await copy.volume.mount());
  const read = (file: string) => readFile(join(mounted.path, file), 'utf8').catch(() => undefined);
  const versions = await Promise.all(FILES.map(read));
  expect(new Set(versions).size).toBe(1);
  return versions[0];
}

function oneAtATime(): Build['inTurn'] {
  let last: Promise<unknown> = Promise.resolve();
  return (work) => {
    const result = last.then(work);
    last = result.catch(() => {});
    return result;
  };
}
