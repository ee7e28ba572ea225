import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { type Builder, ok, openBuilder, type StepKey, type StoreError, toHostPath } from '../../src/index.ts';
import { memoryStore, scriptedFetcher } from '../../src/testing/index.ts';
import { built, openWorld, type World, writes } from './world.ts';

const A = '((from base) (run (shell a)))';

describe('a builder that is opened on a store with the wrong state', () => {
  it('is refused, and every snapshot stays', async () => {
    await using world = await worldWithStep();
    const before = expectOk(await world.store.list());
    await world.builder[Symbol.asyncDispose]();
    const error = await refused(world, { stateDir: 'another' });
    expect(error).toMatchObject({ type: 'failed', message: expect.stringContaining('has 2 snapshots') });
    expect(error).toMatchObject({ message: expect.stringContaining('--adopt') });
    expect(expectOk(await world.store.list())).toEqual(before);
    expect(expectOk(await (await world.reopen()).list())).toHaveLength(2);
  });

  it('takes it over where it is told to adopt it, and may keep it then', async () => {
    await using world = await worldWithStep();
    await world.builder[Symbol.asyncDispose]();
    for (const adopt of [true, false]) {
      await using builder = expectOk(await open(world, { stateDir: 'another', adopt }));
      expect(expectOk(await builder.list())).toEqual([]);
    }
    expect(expectOk(await world.store.list())).toEqual([]);
  });

  it('is refused where the store is another one, and the state forgets nothing', async () => {
    await using world = await worldWithStep();
    await world.builder[Symbol.asyncDispose]();
    await using wrong = await memoryStore();
    const error = expectErr(await open({ ...world, store: wrong }, {}));
    expect(error).toMatchObject({ message: expect.stringContaining('the state knows 2 steps') });
    expect(expectOk(await (await world.reopen()).list())).toHaveLength(2);
  });

  it('is the right one where half of the pair is lost, and each knows what the other has', async () => {
    await using world = await worldWithStep();
    const before = expectOk(await world.store.list());
    await world.builder[Symbol.asyncDispose]();
    await rm(join(world.stateDir, 'paired-with'));
    await world.reopen();
    expect(expectOk(await world.store.list())).toEqual(before);
    await world.builder[Symbol.asyncDispose]();
    const pairing = expectOk(await world.store.pairing.get());
    expect((await readFile(join(world.stateDir, 'paired-with'), 'utf8')).trim()).toBe(pairing);
    await rm(join(world.stateDir, 'paired-with'));
    expectOk(await world.store.remove(before.at(-1) as StepKey));
    expect(await refused(world, {})).toMatchObject({ type: 'failed' });
  });

  it('writes the half that is lost last, so that two halves never differ', async () => {
    await using world = await worldWithStep();
    const { pairing } = world.store;
    const file = join(world.stateDir, 'paired-with');
    const [get, set] = [pairing.get.bind(pairing), pairing.set.bind(pairing)];
    const seen: (readonly [ofStore: string, ofState: string | undefined])[] = [];
    pairing.set = async (text) => {
      seen.push([text, existsSync(file) ? (await readFile(file, 'utf8')).trim() : undefined]);
      return set(text);
    };
    await world.builder[Symbol.asyncDispose]();
    await rm(file);
    await world.reopen();
    await world.builder[Symbol.asyncDispose]();
    pairing.get = async () => {
      pairing.get = get;
      return ok(undefined);
    };
    await world.reopen();
    expect(seen).toEqual([
      [expect.any(String), undefined],
      [seen[1]?.[1], seen[1]?.[0]],
    ]);
  });

  it('is refused where what one of them remembers of the other is damaged', async () => {
    await using world = await worldWithStep();
    await world.builder[Symbol.asyncDispose]();
    await writeFile(join(world.stateDir, 'paired-with'), '');
    expect(await refused(world, {})).toMatchObject({ type: 'failed' });
    expect(expectOk(await world.store.list())).toHaveLength(2);
  });
});

it('a second builder on one open store is answered with `busy`, whatever its state', async () => {
  await using world = await openWorld({ a: writes('a') });
  expect(await refused(world, { stateDir: 'another' })).toMatchObject({ type: 'busy' });
  expect(existsSync(join(world.dir, 'another/index.db'))).toBe(false);
  await world.builder[Symbol.asyncDispose]();
  await using next = expectOk(await open(world, { stateDir: 'another' }));
  expect(expectOk(await next.list())).toEqual([]);
});

it('a state that lost its index gets its steps back from its own store', async () => {
  await using world = await worldWithStep();
  await world.builder[Symbol.asyncDispose]();
  await rm(join(world.stateDir, 'index.db'));
  expect(expectOk(await (await world.reopen()).list())).toHaveLength(2);
});

it('a state without steps can be opened on another store that is empty', async () => {
  await using world = await openWorld({ a: writes('a') });
  await world.builder[Symbol.asyncDispose]();
  await using fresh = await memoryStore();
  await using builder = expectOk(await open({ ...world, store: fresh }, {}));
  await built(builder, A);
  expect(expectOk(await fresh.list())).toHaveLength(2);
});

it('a pairing that is set in one place is nobody else’s', async () => {
  await using dir = await tempDir();
  await using one = await openWorld({ a: writes('a') });
  await using other = await openWorld({ a: writes('a') });
  expect(dir.path).not.toBe(one.dir);
  const [a, b] = [one, other].map(async ({ store }) => expectOk(await store.pairing.get()));
  expect(await a).toBeDefined();
  expect(await a).not.toBe(await b);
});

type Place = Pick<World, 'store' | 'sandbox' | 'dir' | 'stateDir' | 'images'>;

function open(
  { store, sandbox, images, dir, stateDir: own }: Place,
  { stateDir, adopt = false }: { readonly stateDir?: string; readonly adopt?: boolean },
): ReturnType<typeof openBuilder> {
  const path = toHostPath(stateDir === undefined ? own : join(dir, stateDir));
  return openBuilder({ store, sandbox, fetcher: scriptedFetcher(images), stateDir: path, adopt });
}

async function refused(place: Place, options: Parameters<typeof open>[1]): Promise<StoreError> {
  return expectErr<Builder, StoreError>(await open(place, options));
}

async function worldWithStep(): Promise<World> {
  const world = await openWorld({ a: writes('a') });
  await built(world.builder, A);
  return world;
}
