import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { PinnedImage, Volume } from '@snapstep/core/backend';
import { expectOk, needs } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import type { ZfsStore } from '../../src/index.ts';
import { leftoversIn } from '../support/leftovers.ts';
import { brew, home, key, lookup, openWorld, prepare, read, save, volumeOf, write } from './support/world.ts';

const { signal } = new AbortController();
const NAME = 'macos-15 with Xcode';
/** Bytes that no compression makes fewer. */
const LARGE = 4_000_000;

needs('root', 'openzfs')('two pools of OpenZFS', () => {
  it('exchange a snapshot, and then only what changed after it', async () => {
    await using here = await openWorld();
    await using there = await openWorld();
    await saveLarge(here.store, 1, 'one');
    await save(here.store, 2, { from: { snapshot: key(1) }, text: 'two' });
    expect(there.store.transfer.format).toBe(here.store.transfer.format);
    expect(await move(1, { from: here.store, to: there.store })).toBeGreaterThan(LARGE);
    expect(await move(2, { from: here.store, to: there.store, since: 1 })).toBeLessThan(LARGE / 10);

    const store = await there.reopen();
    expect(expectOk(await store.list()).toSorted()).toEqual([key(1), key(2)]);
    expect(await read(volumeOf(await lookup(store, 1), home))).toBe('one');
    expect(await read(volumeOf(await lookup(store, 2), brew))).toBe('two');
    await save(store, 3, { from: { snapshot: key(2) }, text: 'three' });
    expect(await leftoversIn(there)).toEqual([]);
    expect(await leftoversIn(here)).toEqual([]);
  });

  it('exchange a base image, which keeps its digest, with which steps are made there', async () => {
    await using here = await openWorld();
    await using there = await openWorld();
    const made = await makeImage(here.store, 'first');
    const body = expectOk(await here.store.baseImages.send(NAME, signal));
    const received = expectOk(await there.store.baseImages.receive(NAME, body, signal));
    expect(received.digest).toBe(made.digest);

    const store = await there.reopen();
    const pinned = expectOk(await store.baseImages.pin(NAME));
    expect(pinned?.digest).toBe(made.digest);
    await using active = await prepare(store, 1, { baseImage: received });
    expect(await read(volumeOf(active, home))).toBe('first');
    expectOk(await active.commit());
    // And back again, over the one that is there.
    const back = expectOk(await store.baseImages.send(NAME, signal));
    expect(expectOk(await here.store.baseImages.receive(NAME, back, signal)).digest).toBe(made.digest);
    expect(await leftoversIn(here)).toEqual([]);
  });

  it('know a base image that was made again by another digest, there as well', async () => {
    await using here = await openWorld();
    await using there = await openWorld();
    const digests: string[] = [];
    for (const text of ['first', 'second']) {
      digests.push((await makeImage(here.store, text)).digest);
      const body = expectOk(await here.store.baseImages.send(NAME, signal));
      expect(expectOk(await there.store.baseImages.receive(NAME, body, signal)).digest).toBe(digests.at(-1));
    }
    expect(digests[0]).not.toBe(digests[1]);
    await using active = await prepare(there.store, 1, {
      baseImage: expectOk(await there.store.baseImages.list())[0] ?? expect.fail('there is no image'),
    });
    expect(await read(volumeOf(active, brew))).toBe('second');
  });

  it('go on as before where a stream ends early', async () => {
    await using here = await openWorld();
    await using there = await openWorld();
    await makeImage(here.store, 'first');
    const body = expectOk(await here.store.baseImages.send(NAME, signal));
    const received = await there.store.baseImages.receive(NAME, firstBytes(body, 2000), signal);
    expect(received.isErr()).toBe(true);
    expect(expectOk(await there.store.baseImages.list())).toEqual([]);
    expect(await leftoversIn(there)).toEqual([]);
    const again = expectOk(await here.store.baseImages.send(NAME, signal));
    expectOk(await there.store.baseImages.receive(NAME, again, signal));
  });
});

async function saveLarge(store: ZfsStore, number: number, text: string): Promise<void> {
  await using active = await prepare(store, number, { empty: [home, brew] });
  for (const volume of active.volumes.values()) await fill(volume, text);
  expectOk(await active.commit());
}

async function makeImage(store: ZfsStore, text: string): Promise<PinnedImage> {
  await using image = expectOk(await store.baseImages.create({ name: NAME, volumes: [home, brew], signal }));
  for (const volume of image.volumes.values()) await fill(volume, text);
  return expectOk(await image.commit());
}

async function fill(volume: Volume, text: string): Promise<void> {
  await write(volume, text);
  await using mounted = expectOk(await volume.mount());
  await writeFile(join(mounted.path, 'large'), randomBytes(LARGE));
}

interface Move {
  readonly from: ZfsStore;
  readonly to: ZfsStore;
  readonly since?: number;
}

/** How many bytes it took. */
async function move(number: number, { from, to, since }: Move): Promise<number> {
  const options = { signal, ...(since === undefined ? {} : { since: key(since) }) };
  const body = expectOk(await from.transfer.send(key(number), options));
  let bytes = 0;
  const counted = body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        bytes += chunk.byteLength;
        controller.enqueue(chunk);
      },
    }),
  );
  expectOk(await to.transfer.receive(key(number), counted, options));
  return bytes;
}

/** A stream that ends in the middle of what another one gives. */
function firstBytes(body: ReadableStream<Uint8Array>, count: number): ReadableStream<Uint8Array> {
  let left = count;
  return body.pipeThrough(
    new TransformStream<Uint8Array, Uint8Array>({
      transform(chunk, controller) {
        controller.enqueue(chunk.subarray(0, left));
        left -= Math.min(left, chunk.byteLength);
        if (left === 0) controller.terminate();
      },
    }),
  );
}
