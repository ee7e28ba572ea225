import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { memoryDisk, memoryStore, openMemoryStore } from '@snapstep/core/testing';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { hostPlatform, type PinnedImage, type StoreWith } from '../../src/index.ts';
import { inRootfs, key, lookAt, never, prepare, rootfs, save, writeFiles } from './store-scene.ts';

type ImageStore = StoreWith<'baseImages'>;

describe('base images of the memory store', () => {
  it('are there, pinned to their content, once they are committed', async () => {
    await using store = await memoryStore();
    expect(expectOk(await store.baseImages.pin('mine'))).toBeUndefined();
    const image = await makeImage(store, 'one');
    expect(image).toEqual({
      name: 'mine',
      platform: hostPlatform(),
      digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
    });
    expect(expectOk(await store.baseImages.pin('mine'))).toEqual(image);
    expect(expectOk(await store.baseImages.list())).toEqual([image]);
  });
  it('are what a snapshot starts from', async () => {
    await using store = await memoryStore();
    const baseImage = await makeImage(store, 'one');
    await save(store, { at: key(1), from: { baseImage }, files: { more: 'more' } });
    expect(await read(store, 'content')).toBe('one');
    expect(await read(store, 'more')).toBe('more');
  });
  it('are replaced whole, and what was made from the old one stays', async () => {
    await using store = await memoryStore();
    const old = await makeImage(store, 'one');
    await save(store, { at: key(1), from: { baseImage: old }, files: {} });
    const replaced = await makeImage(store, 'two');
    expect(replaced.digest).not.toBe(old.digest);
    expect(expectOk(await store.baseImages.list())).toEqual([replaced]);
    expect(await read(store, 'content')).toBe('one');
    const gone = await store.prepare({ key: key(2), from: { baseImage: old }, signal: never });
    expect(expectErr(gone)).toMatchObject({ type: 'failed' });
  });
  it('are the ones before where the making of one fails or is given up', async () => {
    await using store = await memoryStore({ capacityBytes: 100 });
    const before = await makeImage(store, 'one');
    const request = { name: 'mine', volumes: [rootfs], signal: never };
    await using given = expectOk(await store.baseImages.create(request));
    await given[Symbol.asyncDispose]();
    await using large = expectOk(await store.baseImages.create(request));
    await inRootfs(large.volumes, (path) => writeFiles(path, { content: 'x'.repeat(200) }));
    expect(expectErr(await large.commit())).toMatchObject({ type: 'no-space' });
    expect(expectOk(await store.baseImages.list())).toEqual([before]);
  });
  it('cannot be removed while a saved or an active snapshot was made from them', async () => {
    await using store = await memoryStore();
    const baseImage = await makeImage(store, 'one');
    const busy = { type: 'busy' };
    {
      await using _active = await prepare(store, { at: key(1), from: { baseImage } });
      expect(expectErr(await store.baseImages.remove('mine'))).toMatchObject(busy);
    }
    await save(store, { at: key(1), from: { baseImage }, files: {} });
    expect(expectErr(await store.baseImages.remove('mine'))).toMatchObject(busy);
    expectOk(await store.remove(key(1)));
    expectOk(await store.baseImages.remove('mine'));
    expectOk(await store.baseImages.remove('mine'));
    expect(expectOk(await store.baseImages.list())).toEqual([]);
  });
  it('leave no files of a version that was replaced, once nothing is made from it', async () => {
    await using store = await memoryStore({ capacityBytes: 1000 });
    const old = await makeImage(store, 'x'.repeat(400));
    await save(store, { at: key(1), from: { baseImage: old }, files: {} });
    await makeImage(store, 'small');
    expectOk(await store.remove(key(1)));
    expect(expectOk(await store.usage())[0]).toMatchObject({ used: 'small'.length });
  });
  it('come from another store with the same digest and the same files', async () => {
    await using from = await memoryStore();
    await using to = await memoryStore();
    const image = await makeImage(from, 'one');
    const stream = expectOk(await from.baseImages.send('mine', never));
    const received = expectOk(await to.baseImages.receive('yours', stream, never));
    expect(received).toEqual({ ...image, name: 'yours' });
    await save(to, { at: key(1), from: { baseImage: received }, files: {} });
    expect(await read(to, 'content')).toBe('one');
  });
  it('are not replaced by a stream that breaks off', async () => {
    await using store = await memoryStore();
    const image = await makeImage(store, 'one');
    const broken = new ReadableStream<Uint8Array>({ pull: (end) => end.error(new Error('no network')) });
    expect(expectErr(await store.baseImages.receive('mine', broken, never))).toMatchObject({
      type: 'failed',
      cause: new Error('no network'),
    });
    expect(expectOk(await store.baseImages.list())).toEqual([image]);
  });
  it('are there when the disk is opened again, and still in use', async () => {
    await using disk = await memoryDisk();
    const first = expectOk(await openMemoryStore(disk));
    const baseImage = await makeImage(first, 'one');
    await save(first, { at: key(1), from: { baseImage }, files: {} });
    await first[Symbol.asyncDispose]();
    await using again = expectOk(await openMemoryStore(disk));
    expect(expectOk(await again.baseImages.list())).toEqual([baseImage]);
    expect(expectErr(await again.baseImages.remove('mine'))).toMatchObject({ type: 'busy' });
  });
});

async function makeImage(store: ImageStore, content: string): Promise<PinnedImage> {
  const request = { name: 'mine', volumes: [rootfs], signal: never };
  await using active = expectOk(await store.baseImages.create(request));
  await inRootfs(active.volumes, (path) => writeFiles(path, { content }));
  return expectOk(await active.commit());
}

function read(store: ImageStore, name: string): Promise<string> {
  return lookAt(store, { at: key(1), look: (path) => readFile(join(path, name), 'utf8') });
}
