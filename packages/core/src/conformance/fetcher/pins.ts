import { randomFillSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { keeps, keepsEqual } from '../promise.ts';
import { expectOk } from '../store/scene.ts';
import type { FetcherTest } from './scene.ts';
import { settle } from './settle-times.ts';

const MIB = 1024 * 1024;

/** From a name to a digest. */
export function pinTests(test: FetcherTest): void {
  test('pins an image to a digest, and to the same one each time', async (scene) => {
    const { image } = await scene.publish('stable', withText('text'));
    const first = await scene.pin(image);
    keeps('a digest is `sha256:` and 64 hex digits', /^sha256:[0-9a-f]{64}$/.test(first.digest), first);
    keepsEqual('a pinned image keeps name and platform', { ...image, digest: first.digest }, first);
    for (let round = 0; round < 3; round += 1) {
      keepsEqual('a digest stays as long as the image does', await scene.pin(image), first);
    }
  });
  test('pins an image to the same digest when it is asked for many times at once', async (scene) => {
    const { image } = await scene.publish('many', withText('text'));
    const pins = await Promise.all(Array.from({ length: 8 }, () => scene.pin(image)));
    keepsEqual('a digest stays as long as the image does', new Set(pins.map(({ digest }) => digest)).size, 1);
  });
  test('gives equal digests for equal images of different names', async (scene) => {
    const one = await scene.publish('one', withText('text'));
    const other = await scene.publish('other', withText('text'));
    const digests = [await scene.pin(one.image), await scene.pin(other.image)].map(({ digest }) => digest);
    keepsEqual('a digest says what is in an image, not what its name is', digests[0], digests[1]);
  });
  test('gives other digests for other files', async (scene) => {
    const digests = new Set<string>();
    for (const text of ['text', 'Text', 'text ']) {
      const { image } = await scene.publish(`other-${digests.size}`, withText(text));
      digests.add((await scene.pin(image)).digest);
    }
    keepsEqual('equal digests give equal files (different digests)', digests.size, 3);
  });
  test('gives another digest once a name means another image (M2)', async (scene) => {
    const { image } = await scene.publish('moving', withText('old'));
    const before = await scene.pin(image);
    const again = await scene.publish('moving', withText('new'));
    keepsEqual('a name that is published again stays the same name', again.image, image);
    const after = await scene.pin(image);
    keeps('a digest says what is in an image', before.digest !== after.digest, after);
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
    keeps('`pin` reads little', read < 16 * MIB, `${Math.round(read / MIB)} MiB of an image of 48 MiB`);
  });
  test('answers `image-not-found`, with the image, where there is none', async (scene) => {
    const { missing } = scene.place;
    const pinned = await scene.fetcher.pin(missing, new AbortController().signal);
    keeps('an image that is not there is a failure', pinned.isErr(), pinned);
    keepsEqual('an image that is not there is `image-not-found`', pinned.error.type, 'image-not-found');
    if (pinned.error.type !== 'image-not-found') return;
    keepsEqual('`image-not-found` says which image', pinned.error.image, missing);
    keeps('`image-not-found` has a sentence', pinned.error.message.length > 0);
  });
  test('is cancelled, with the reason, where it is aborted before', async (scene) => {
    const { image } = await scene.publish('aborted', withText('text'));
    const reason = new Error('no longer wanted');
    const pinned = await scene.fetcher.pin(image, AbortSignal.abort(reason));
    keepsEqual('an aborted `pin` answers `cancelled`', pinned.isErr() && pinned.error, {
      type: 'cancelled',
      reason,
    });
    await expectOk(scene.fetcher.pin(image, new AbortController().signal));
  });
  test('settles when it is aborted at any moment', async (scene) => {
    const { image } = await scene.publish('aborted', withText('text'));
    for (let round = 0; round < 10; round += 1) {
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort('enough'), Math.random() * 60);
      const pinned = await scene.fetcher.pin(image, controller.signal);
      clearTimeout(timer);
      if (pinned.isOk()) continue;
      keepsEqual('an aborted `pin` answers `cancelled`', pinned.error, {
        type: 'cancelled',
        reason: 'enough',
      });
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
