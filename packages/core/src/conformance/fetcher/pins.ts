import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { keeps, keepsCancelled, keepsEqual } from '../promise.ts';
import { fetcherPromises as promises } from './promises.ts';
import type { FetcherTest } from './scene.ts';
import { settle } from './settle-times.ts';

const MIB = 1024 * 1024;

/** From a name to a digest. */
export function pinTests(test: FetcherTest): void {
  test('pins an image to a digest, and to the same one each time', async (scene) => {
    const { image } = await scene.publish('stable', withText('text'));
    const first = await scene.pin(image);
    keeps(promises.digests, /^sha256:[0-9a-f]{64}$/.test(first.digest), first);
    keepsEqual(promises.pinned, first, { ...image, digest: first.digest });
    for (let round = 0; round < 3; round += 1) {
      keepsEqual(promises.stable, await scene.pin(image), first);
    }
  });
  test('pins an image to the same digest when it is asked for many times at once', async (scene) => {
    const { image } = await scene.publish('many', withText('text'));
    const pins = await Promise.all(Array.from({ length: 8 }, () => scene.pin(image)));
    keepsEqual(promises.stable, new Set(pins.map(({ digest }) => digest)).size, 1);
  });
  test('gives equal digests for equal images of different names', async (scene) => {
    const one = await scene.publish('one', withText('text'));
    const other = await scene.publish('other', withText('text'));
    const digests = [await scene.pin(one.image), await scene.pin(other.image)].map(({ digest }) => digest);
    keepsEqual(promises.content, digests[0], digests[1]);
  });
  test('gives other digests for other files', async (scene) => {
    const digests = new Set<string>();
    for (const text of ['text', 'Text', 'text ']) {
      const { image } = await scene.publish(`other-${digests.size}`, withText(text));
      digests.add((await scene.pin(image)).digest);
    }
    keepsEqual(promises.content, digests.size, 3);
  });
  test('gives another digest once a name means another image (M2)', async (scene) => {
    const { image } = await scene.publish('moving', withText('old'));
    const before = await scene.pin(image);
    const again = await scene.publish('moving', withText('new'));
    keepsEqual(promises.pinned, again.image, image);
    const after = await scene.pin(image);
    keeps(promises.content, before.digest !== after.digest, after);
  });
  test('reads little: no layer before `unpack`', async (scene) => {
    const { image } = await scene.publish('large', async (path) => {
      await writeFile(join(path, 'noise'), randomFillSync(Buffer.alloc(48 * MIB)));
      await settle(path);
    });
    if (scene.place.readsOnce) {
      // The times of a file that was written just now do not tell whether it changes again, so it may be read again.
      await delay(1000);
      await scene.pin(image);
    }
    const before = bytesRead();
    await scene.pin(image);
    const read = bytesRead() - before;
    keeps(promises.readsLittle, read < 16 * MIB, `${Math.round(read / MIB)} MiB of an image of 48 MiB`);
  });
  test('answers `image-not-found`, with the image, where there is none', async (scene) => {
    const { missing } = scene.place;
    const pinned = await scene.fetcher.pin(missing, new AbortController().signal);
    keeps(promises.notFound, pinned.isErr(), pinned);
    keepsEqual(promises.notFound, pinned.error.type, 'image-not-found');
    if (pinned.error.type !== 'image-not-found') return;
    keepsEqual(promises.notFound, pinned.error.image, missing);
    keeps(promises.notFound, pinned.error.message.length > 0, pinned.error);
  });
  test('is cancelled, with the reason, where it is aborted before', async (scene) => {
    const { image } = await scene.publish('aborted', withText('text'));
    const reason = new Error('no longer wanted');
    const pinned = await scene.fetcher.pin(image, AbortSignal.abort(reason));
    keepsCancelled(promises.cancelled, pinned.isErr() && pinned.error, reason);
    await scene.pin(image);
  });
  test('settles when it is aborted at any moment', async (scene) => {
    const { image } = await scene.publish('aborted', withText('text'));
    for (let round = 0; round < 10; round += 1) {
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort('enough'), Math.random() * 60);
      const pinned = await scene.fetcher.pin(image, controller.signal);
      clearTimeout(timer);
      if (pinned.isOk()) continue;
      keepsCancelled(promises.cancelled, pinned.error, 'enough');
      await scene.expectNothingLeft();
    }
  });
}

/** An image of one file. */
export function withText(text: string): (path: string) => Promise<void> {
  return async (path) => {
    await writeFile(join(path, 'file'), text);
    await settle(path);
  };
}

/**
 * What this process and its children that have ended have read so far: `rchar` of proc_pid_io(5). 0 where the system
 * does not count.
 */
function bytesRead(): number {
  if (process.platform !== 'linux') return 0;
  return Number(/rchar: (\d+)/.exec(readFileSync('/proc/self/io', 'utf8'))?.[1]);
}
