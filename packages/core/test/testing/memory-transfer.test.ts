import { link, lstat, mkdir, readdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryStore } from '@snapstep/core/testing';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import type { Store } from '../../src/index.ts';
import { inRootfs, key, lookAt, never, prepare, save } from './store-scene.ts';

const BIG = Buffer.from(Array.from({ length: 300_000 }, (_, i) => (i * 7919) % 251)).toString('latin1');

describe('transfer between memory stores', () => {
  it('moves a snapshot with links, modes and times', async () => {
    await using pair = await openPair();
    await using active = await prepare(pair.from, { at: key(1) });
    await inRootfs(active.volumes, fillRichly);
    expectOk(await active.commit());
    await pair.move();
    const there = await lookAt(pair.to, { at: key(1), look: describeFiles });
    expect(there).toEqual(await lookAt(pair.from, { at: key(1), look: describeFiles }));
    expect(there.length).toBe(5);
  });
  it('sends little of a snapshot that the receiver has the parent of', async () => {
    await using pair = await openPair();
    await save(pair.from, { at: key(1), files: { big: BIG } });
    await save(pair.from, { at: key(2), from: { snapshot: key(1) }, files: { small: 'small' } });
    const whole = await pair.move();
    const changes = await pair.moveSince();
    expect(whole.length).toBeGreaterThan(BIG.length);
    expect(changes.length).toBeLessThan(20_000);
    const look = (path: string) => readFile(join(path, 'big'), 'utf8');
    expect(await lookAt(pair.to, { at: key(2), look })).toBe(BIG);
    expect(await lookAt(pair.to, { at: key(2), look: (path) => readdir(path) })).toEqual(['big', 'small']);
  });
  it('moves changes that keep size and time, and deletions (V6)', async () => {
    await using pair = await openPair();
    const time = new Date('2024-05-06T07:08:09Z');
    await save(pair.from, { at: key(1), files: { gone: 'gone', same: 'before' } });
    await using active = await prepare(pair.from, { at: key(2), from: { snapshot: key(1) } });
    await inRootfs(active.volumes, async (path) => {
      await writeFile(join(path, 'same'), 'after!');
      await utimes(join(path, 'same'), time, time);
    });
    expectOk(await active.commit());
    await pair.move();
    await pair.moveSince();
    const look = (path: string) => readFile(join(path, 'same'), 'utf8');
    expect(await lookAt(pair.to, { at: key(2), look })).toBe('after!');
  });
  it('changes nothing where a stream ends early, wherever that is', async () => {
    await using pair = await openPair();
    await save(pair.from, { at: key(1), files: { big: BIG } });
    const whole = await pair.bytes(key(1));
    for (let end = 0; end < whole.length; end += 9973) {
      const received = await pair.to.transfer.receive(key(1), streamOf(whole.subarray(0, end)), {
        signal: never,
      });
      expect(expectErr(received).type).toBe('failed');
    }
    expect(expectOk(await pair.to.list())).toEqual([]);
  });
  it('notices a byte that changed on the way', async () => {
    await using pair = await openPair();
    await save(pair.from, { at: key(1), files: { big: BIG } });
    const damaged = await pair.bytes(key(1));
    damaged[150_000] = (damaged[150_000] ?? 0) ^ 1;
    const received = await pair.to.transfer.receive(key(1), streamOf(damaged), { signal: never });
    expect(expectErr(received)).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('damaged'),
    });
  });
  it('answers `not-found` with the key of what it lacks', async () => {
    await using pair = await openPair();
    await save(pair.from, { at: key(1), files: {} });
    const options = { since: key(9), signal: never };
    const missing = { type: 'not-found', key: key(9) };
    expect(expectErr(await pair.from.transfer.send(key(9), { signal: never }))).toMatchObject(missing);
    expect(expectErr(await pair.from.transfer.send(key(1), options))).toMatchObject(missing);
    const received = pair.to.transfer.receive(key(1), streamOf(await pair.bytes(key(1))), options);
    expect(expectErr(await received)).toMatchObject(missing);
  });
  it('refuses changes since another snapshot than the one that is here', async () => {
    await using pair = await openPair();
    await save(pair.from, { at: key(1), files: { a: 'one' } });
    await save(pair.from, { at: key(2), from: { snapshot: key(1) }, files: { b: 'b' } });
    await save(pair.to, { at: key(1), files: { a: 'another' } });
    const changes = await pair.bytes(key(2), key(1));
    const received = await pair.to.transfer.receive(key(2), streamOf(changes), {
      since: key(1),
      signal: never,
    });
    expect(expectErr(received)).toMatchObject({ type: 'failed' });
    expect(expectOk(await pair.to.list())).toEqual([key(1)]);
  });
  it('ends a receive that is aborted while the stream waits', async () => {
    await using pair = await openPair();
    const controller = new AbortController();
    const waiting = new ReadableStream<Uint8Array>({ pull: () => controller.abort('enough') });
    const received = await pair.to.transfer.receive(key(1), waiting, { signal: controller.signal });
    expect(expectErr(received)).toMatchObject({ type: 'cancelled', reason: 'enough' });
  });
});

async function openPair() {
  const from = await memoryStore();
  const to = await memoryStore();
  const bytes = async (at = key(1), since?: ReturnType<typeof key>): Promise<Buffer> => {
    const sent = await from.transfer.send(at, { signal: never, ...(since && { since }) });
    const chunks: Uint8Array[] = [];
    for await (const chunk of expectOk(sent)) chunks.push(chunk);
    return Buffer.concat(chunks);
  };
  const put = async (at: ReturnType<typeof key>, since?: ReturnType<typeof key>): Promise<Buffer> => {
    const stream = await bytes(at, since);
    const options = { signal: never, ...(since && { since }) };
    expectOk(await to.transfer.receive(at, streamOf(stream), options));
    return stream;
  };
  return {
    from,
    to,
    bytes,
    move: () => put(key(1)),
    moveSince: () => put(key(2), key(1)),
    async [Symbol.asyncDispose]() {
      for (const store of [from, to] as readonly Store[]) await store[Symbol.asyncDispose]();
    },
  };
}

function streamOf(bytes: Uint8Array): ReadableStream<Uint8Array> {
  return ReadableStream.from([bytes]);
}

async function fillRichly(path: string): Promise<void> {
  await mkdir(join(path, 'dir'), { mode: 0o2750 });
  await writeFile(join(path, 'dir/file'), 'file', { mode: 0o4711 });
  await link(join(path, 'dir/file'), join(path, 'linked'));
  await symlink('dir/file', join(path, 'symlink'));
  await utimes(join(path, 'dir/file'), 1, 1234.5678);
}

/** One line for each file, with the same text on both sides. */
async function describeFiles(path: string): Promise<string[]> {
  const names = ['', ...(await readdir(path, { recursive: true })).sort()];
  return Promise.all(
    names.map(async (name) => {
      const { mode, nlink, mtimeMs, uid, gid } = await lstat(join(path, name));
      return `${name} ${mode.toString(8)} ${nlink} ${mtimeMs} ${uid}:${gid}`;
    }),
  );
}
