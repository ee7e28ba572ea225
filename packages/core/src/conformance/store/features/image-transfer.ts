import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toVolumeName } from '../../../backend/names.ts';
import { keeps, keepsCancelled, keepsEqual } from '../../promise.ts';
import { storePromises as promises } from '../promises.ts';
import { bounded, expectOk, key, mounted, rootfs, type Scene, type StoreTest, settled } from '../scene.ts';
import { contentOf, images, make, pin, write } from './base-images.ts';
import { bytesOf, stalledStream, streamOf } from './streams.ts';

/** Of a snapshot that was made from the old image. */
const contentKey = key(7);
const signal = (): AbortSignal => new AbortController().signal;

/** Base images that go from one store to another. */
export function imageTransferTests(test: StoreTest): void {
  test('sends a base image, and another store receives it with the same digest', async (scene) => {
    await using other = await scene.another();
    const image = await make(scene, write('first'));
    const received = await expectOk(images(other).receive('tools', streamOf(await sent(scene)), signal()));
    keepsEqual(promises.imageMoved, received.digest, image.digest);
    keepsEqual(promises.imageMoved, (await pin(other))?.digest, image.digest);
    keepsEqual(promises.imageMoved, await contentOf(other, { image: received, number: 1 }), 'first');
    await other.reopen();
    keepsEqual(promises.imageMoved, (await pin(other))?.digest, image.digest);
    const again = await expectOk(images(other).send('tools', signal()));
    await using third = await scene.another();
    const moved = await expectOk(images(third).receive('tools', again, signal()));
    keepsEqual(promises.imageMoved, moved.digest, image.digest);
  });
  test('replaces a base image by one that it receives', async (scene) => {
    await using other = await scene.another();
    const image = await make(scene, write('first'));
    const old = await make(other, write('old'));
    await using active = await other.prepare(contentKey, { baseImage: old });
    await expectOk(active.commit());
    const before = await other.tree(contentKey);
    const received = await expectOk(images(other).receive('tools', streamOf(await sent(scene)), signal()));
    keepsEqual(promises.imageMoved, received.digest, image.digest);
    keepsEqual(promises.imageReplaced, await other.tree(contentKey), before);
  });
  test('receives nothing of a stream that ends early or is no image', async (scene) => {
    await using other = await scene.another();
    await make(scene, write('x'.repeat(100_000)));
    const whole = await sent(scene);
    const old = await make(other, write('old'));
    for (const part of [0, 1, whole.length >> 1, whole.length - 1]) {
      const body = streamOf(whole.subarray(0, part), new Error('the connection was lost'));
      const received = await settled(images(other).receive('tools', body, signal()));
      keeps(promises.imageCut, received.isErr(), `${part} of ${whole.length} bytes`);
      keepsEqual(promises.imageCut, await pin(other), old);
    }
    const received = await settled(
      images(other).receive('tools', streamOf(Buffer.alloc(5000, 'x')), signal()),
    );
    keeps(promises.imageCut, received.isErr(), 'it received 5,000 times the letter x');
    keepsEqual(promises.imageCut, await contentOf(other, { image: old, number: 1 }), 'old');
    keepsEqual(promises.leftNothing, await other.leftovers(), []);
  });
  test('sends every volume of a base image', async (scene) => {
    await using other = await scene.another();
    const names = [toVolumeName('brew'), toVolumeName('home')];
    const image = await make(scene, write('each'), names);
    const received = await expectOk(images(other).receive('tools', streamOf(await sent(scene)), signal()));
    keepsEqual(promises.imageMoved, received.digest, image.digest);
    await using active = await other.prepare(key(1), { baseImage: received });
    keepsEqual(promises.imageMoved, [...active.volumes.keys()].sort(), names);
    for (const volume of active.volumes.values()) {
      const text = await mounted(volume, (path) => readFile(join(path, 'file'), 'utf8').catch(String));
      keepsEqual(promises.imageMoved, text, 'each');
    }
  });
  test('keeps the old base image when a stream stands still and is aborted', async (scene) => {
    await using other = await scene.another();
    await make(scene, write('x'.repeat(100_000)));
    const whole = await sent(scene);
    const old = await make(other, write('old'));
    const [controller, reason] = [new AbortController(), { why: 'enough' }];
    const { body, reached } = stalledStream(whole.subarray(0, whole.length >> 1));
    const receiving = bounded(settled(images(other).receive('tools', body, controller.signal)));
    await Promise.race([reached, receiving]);
    controller.abort(reason);
    const received = await receiving;
    keepsCancelled(promises.cancelled, received.isErr() && received.error, reason);
    keepsEqual(promises.imageCut, await pin(other), old);
    keepsEqual(promises.leftNothing, await other.leftovers(), []);
  });
  test('makes, sends and receives no base image where it is aborted before', async (scene) => {
    await make(scene, write('first'));
    const reason = { why: 'before' };
    const aborted = AbortSignal.abort(reason);
    const request = { name: 'other', volumes: [rootfs], signal: aborted };
    const body = streamOf(await sent(scene));
    const calls = [
      await settled(images(scene).create(request)),
      await settled(images(scene).send('tools', aborted)),
      await settled(images(scene).receive('other', body, aborted)),
    ];
    for (const call of calls) {
      keepsCancelled(promises.cancelled, call.isErr() && call.error, reason);
    }
    const names = (await expectOk(images(scene).list())).map(({ name }) => name);
    keepsEqual(promises.imageCommitted, names, ['tools']);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  test('cannot send a base image that is not there', async (scene) => {
    const result = await settled(images(scene).send('none', signal()));
    keeps(promises.imageMissing, result.isErr(), 'it was sent');
  });
}

async function sent(scene: Scene): Promise<Uint8Array> {
  return bytesOf(await expectOk(images(scene).send('tools', signal())));
}
