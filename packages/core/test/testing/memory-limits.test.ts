import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryStore, scriptedFetcher, scriptedSandbox } from '@snapstep/core/testing';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { openBuilder, parseSpec, toHostPath } from '../../src/index.ts';
import { inRootfs, key, prepare, save, writeFiles } from './store-scene.ts';

describe('a quota of the memory store', () => {
  it('lets what is within it be saved', async () => {
    await using store = await memoryStore();
    await using active = await prepare(store, { at: key(1) });
    expectOk(await store.quota.limit(active, 10));
    await inRootfs(active.volumes, (path) => writeFiles(path, { a: '12345', b: '12345' }));
    expectOk(await active.commit());
  });
  it('is `no-space` at the commit of more, and nothing is saved', async () => {
    await using store = await memoryStore();
    await using active = await prepare(store, { at: key(1) });
    expectOk(await store.quota.limit(active, 10));
    await inRootfs(active.volumes, (path) => writeFiles(path, { a: '12345678901' }));
    expect(expectErr(await active.commit())).toMatchObject({ type: 'no-space' });
    expect(expectOk(await store.list())).toEqual([]);
    await save(store, { at: key(1), files: { a: 'smaller' } });
  });
  it('counts what a step adds, not what its parent has', async () => {
    await using store = await memoryStore();
    await save(store, { at: key(1), files: { big: 'x'.repeat(1000) } });
    await using child = await prepare(store, { at: key(2), from: { snapshot: key(1) } });
    expectOk(await store.quota.limit(child, 10));
    await inRootfs(child.volumes, (path) => writeFiles(path, { small: '12345' }));
    expectOk(await child.commit());
  });
});

describe('a memory disk of a given size', () => {
  it('is full when what is saved fills it, until something is removed', async () => {
    await using store = await memoryStore({ capacityBytes: 1000 });
    await save(store, { at: key(1), files: { big: 'x'.repeat(600) } });
    await using active = await prepare(store, { at: key(2) });
    await inRootfs(active.volumes, (path) => writeFiles(path, { big: 'y'.repeat(600) }));
    expect(expectErr(await active.commit())).toMatchObject({ type: 'no-space' });
    expectOk(await store.remove(key(1)));
    await save(store, { at: key(2), files: { big: 'y'.repeat(600) } });
  });
  it('says how much is used, and of how much', async () => {
    await using store = await memoryStore({ capacityBytes: 1000 });
    await save(store, { at: key(1), files: { a: '12345', b: '12345' } });
    const [bytes] = expectOk(await store.usage());
    expect(bytes).toEqual({ axis: 'bytes', used: 10, total: 1000 });
  });
  it('does not let two steps that end together use the same room', async () => {
    await using store = await memoryStore({ capacityBytes: 1000 });
    const commits = [1, 2, 3].map(async (number) => {
      await using active = await prepare(store, { at: key(number) });
      await inRootfs(active.volumes, (path) => writeFiles(path, { big: 'x'.repeat(400) }));
      return await active.commit();
    });
    const ends = await Promise.all(commits);
    expect(ends.filter((end) => end.isOk()).length).toBe(2);
  });
  it('is full for caches as well, and keeps the version before', async () => {
    await using store = await memoryStore({ capacityBytes: 100 });
    const owner = { uid: 0, gid: 0 };
    await using copy = expectOk(await store.caches.checkOut('c' as never, owner));
    await using mounted = expectOk(await copy.volume.mount());
    await writeFile(join(mounted.path, 'big'), 'x'.repeat(101));
    expect(expectErr(await copy.publish())).toMatchObject({ type: 'no-space' });
    expect(expectOk(await store.caches.list())).toEqual([]);
  });
  it('makes a builder prune, and try again', async () => {
    await using world = await openSmallWorld(2000);
    await world.build('((from base) (run (shell "first")))');
    await world.build('((from base) (run (shell "second")))');
    expect(world.ran).toEqual(['first', 'second', 'second']);
  });
  it('fails a build that does not fit however much is removed', async () => {
    await using world = await openSmallWorld(500);
    const failure = await world.fail('((from base) (run (shell "first")))');
    expect(failure).toMatchObject({ type: 'store', error: { type: 'no-space' } });
  });
});

describe('a memory store without quota', () => {
  it('has no such property, so a builder refuses a build with a limit before anything runs', async () => {
    await using store = await memoryStore({ without: ['quota', 'transfer'] });
    expect(Object.keys(store)).not.toContain('quota');
    await using world = await openSmallWorld(500, store);
    const failure = await world.fail('((from base) (run (shell "first")))', 100);
    expect(failure).toMatchObject({ type: 'unenforceable-limit', limit: 'diskBytes' });
    expect(world.ran).toEqual([]);
  });
});

/** A builder over a disk of so many bytes, whose commands write 1,000. */
async function openSmallWorld(capacityBytes: number, given?: Awaited<ReturnType<typeof plainStore>>) {
  const dir = await tempDir();
  const store = given ?? (await memoryStore({ capacityBytes }));
  const writes = async ({ root }: { root: string }): Promise<number> => {
    await writeFile(join(root, 'made'), 'x'.repeat(1000));
    return 0;
  };
  const sandbox = scriptedSandbox({ first: writes, second: writes });
  const fetcher = scriptedFetcher({ base: { files: { origin: 'base' } } });
  const stateDir = toHostPath(join(dir.path, 'state'));
  const builder = expectOk(await openBuilder({ store, sandbox, fetcher, stateDir }));
  const start = (text: string, diskBytes?: number) =>
    builder.build({ spec: expectOk(parseSpec(text)), ...(diskBytes === undefined ? {} : { diskBytes }) });
  return {
    ran: sandbox.ran,
    build: async (text: string) => expectOk(await start(text))[Symbol.asyncDispose](),
    fail: async (text: string, diskBytes?: number) => expectErr(await start(text, diskBytes)),
    async [Symbol.asyncDispose]() {
      await builder[Symbol.asyncDispose]();
      if (given === undefined) await store[Symbol.asyncDispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

function plainStore() {
  return memoryStore({ without: ['quota', 'transfer'] });
}
