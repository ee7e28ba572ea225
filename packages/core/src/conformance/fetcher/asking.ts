import type { Result } from 'neverthrow';
import type { FetchError, ImageRef, PinnedImage, PullPolicy } from '../../backend/fetcher.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { withText } from './pins.ts';
import { fetcherPromises as promises } from './promises.ts';
import { type FetcherScene, type FetcherTest, treeOf } from './scene.ts';

/** Who is asked for images, and what becomes of a build when nobody answers. */
export function askingTests(test: FetcherTest): void {
  test('pins and unpacks an image that is asked for with `always`', async (scene) => {
    const { image } = await scene.publish('stable', withText('text'));
    const first = await scene.pin(image);
    const { result } = await pin(scene, image, 'always');
    keepsEqual(promises.asks, result.isOk() ? result.value : result.error, first);
    const unpacked = await scene.unpack(first, { pull: 'always' });
    keeps(promises.unpacked, unpacked.result.isOk(), unpacked.result);
  });
  test('finds out with `always` what a name means now, right after it meant something else', async (scene) => {
    const { image } = await scene.publish('moving', withText('old'));
    const before = await scene.pin(image);
    await scene.publish('moving', withText('new'));
    const { result, notes } = await pin(scene, image, 'always');
    keeps(promises.asks, result.isOk() && result.value.digest !== before.digest, result);
    keepsEqual(promises.asks, notes, []);
  });
  test('says nothing of images that are there', async (scene) => {
    const { image } = await scene.publish('stable', withText('text'));
    const first = await pin(scene, image, 'auto');
    const second = await pin(scene, image, 'auto');
    keepsEqual(promises.remembered, [...first.notes, ...second.notes], []);
  });
  test('pins to the last digest, with a note, where nobody answers (if the place can go offline)', async (scene) => {
    if (scene.place.goOffline === undefined) return;
    const { image } = await scene.publish('known', withText('text'));
    const before = await scene.pin(image);
    {
      await using _offline = await scene.place.goOffline();
      const { result, notes } = await pin(scene, image, 'auto');
      keepsEqual(promises.remembered, result.isOk() ? result.value : result.error, before);
      keeps(promises.remembered, notes.length === 1 && notes[0]?.includes(before.digest) === true, notes);
    }
    await scene.publish('known', withText('another'));
    const after = await pin(scene, image, 'auto');
    keeps(promises.content, after.result.isOk() && after.result.value.digest !== before.digest, after);
  });
  test('fails where nobody answers about a name that is new, or a platform (if the place can go offline)', async (scene) => {
    if (scene.place.goOffline === undefined) return;
    const { image } = await scene.publish('new', withText('text'));
    const known = (await scene.publish('known', withText('text'))).image;
    await scene.pin(known);
    await using _offline = await scene.place.goOffline();
    for (const unknown of [image, { ...known, platform: 'linux/s390x' }]) {
      const { result } = await pin(scene, unknown, 'auto');
      keeps(promises.failures, result.isErr() && result.error.type === 'failed', result);
    }
  });
  test('fails with `always` where nobody answers, and knows the last digest all the same (if the place can go offline)', async (scene) => {
    if (scene.place.goOffline === undefined) return;
    const { image } = await scene.publish('known', withText('text'));
    const before = await scene.pin(image);
    await using _offline = await scene.place.goOffline();
    const { result, notes } = await pin(scene, image, 'always');
    keeps(promises.asks, result.isErr() && result.error.type === 'failed', result);
    keepsEqual(promises.asks, notes, []);
    const after = await pin(scene, image, 'auto');
    keepsEqual(promises.remembered, after.result.isOk() && after.result.value, before);
  });
  test('rejects with the reason where its note rejects (if the place can go offline)', async (scene) => {
    if (scene.place.goOffline === undefined) return;
    const { image } = await scene.publish('known', withText('text'));
    await scene.pin(image);
    await using _offline = await scene.place.goOffline();
    const reason = new Error('nobody listens');
    const note = () => Promise.reject(reason);
    const signal = new AbortController().signal;
    const ended = await scene.fetcher.pin(image, signal, { note }).then(
      (result) => result,
      (error: unknown) => error,
    );
    keeps(promises.logRejects, ended === reason, ended);
  });
  test('asks nobody with `never`, whatever a name means by now (if the place can go offline)', async (scene) => {
    if (scene.place.goOffline === undefined) return;
    const { image } = await scene.publish('moving', withText('old'));
    const before = await scene.pin(image);
    await scene.publish('moving', withText('new'));
    const { result, notes } = await pin(scene, image, 'never');
    keepsEqual(promises.neverAsks, result.isOk() ? result.value : result.error, before);
    keepsEqual(promises.neverAsks, notes, []);
  });
  test('answers `not-held` with `never` for what was never pinned (if the place can go offline)', async (scene) => {
    if (scene.place.goOffline === undefined) return;
    const { image } = await scene.publish('new', withText('text'));
    const { result } = await pin(scene, image, 'never');
    keeps(promises.neverAsks, result.isErr() && result.error.type === 'not-held', result);
    keepsEqual(promises.neverAsks, result.error.image, image);
    keeps(promises.neverAsks, result.error.message.length > 0, result.error);
  });
  test('unpacks with `never` what is on this machine, or writes nothing and answers `not-held`', async (scene) => {
    const { image } = await scene.publish('known', withText('text'));
    const { result, volumes } = await scene.unpack(await scene.pin(image), { pull: 'never' });
    if (scene.place.goOffline === undefined) return keeps(promises.unpacked, result.isOk(), result);
    if (result.isOk()) return;
    keepsEqual(promises.neverAsks, result.error.type, 'not-held');
    keepsEqual(promises.nothingWritten, { files: (await treeOf(volumes)).length }, { files: volumes.size });
  });
}

/** Pins with a policy, and collects what is noted. */
async function pin(
  scene: FetcherScene,
  image: ImageRef,
  pull: PullPolicy,
): Promise<{ readonly result: Result<PinnedImage, FetchError>; readonly notes: readonly string[] }> {
  const notes: string[] = [];
  const note = (text: string): void => void notes.push(text);
  const result = await scene.fetcher.pin(image, new AbortController().signal, { pull, note });
  return { result, notes };
}
