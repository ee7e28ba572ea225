import { randomBytes } from 'node:crypto';
import { appendFile, chmod, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type StepKey, toVolumeName } from '../../../backend/names.ts';
import type { StoreFeatures, StoreWith } from '../../../backend/store.ts';
import { keeps, keepsCancelled, keepsEqual } from '../../promise.ts';
import { storePromises as promises } from '../promises.ts';
import { bounded, expectOk, key, mounted, type Scene, type StoreTest, settled } from '../scene.ts';
import { bytesOf, stalledStream, streamOf } from './streams.ts';

const signal = (): AbortSignal => new AbortController().signal;

/** Snapshots that go from one store to another. */
export function transferTests(test: StoreTest): void {
  test('names its format, which another store of its kind has as well', async (scene) => {
    await using other = await scene.another();
    const { format } = transfer(scene);
    keeps(promises.declared, /^[^/\s]+\/\d+$/.test(format), `${format}, not such as \`zfs-send/1\``);
    keepsEqual(promises.declared, transfer(other).format, format);
  });
  test('sends a snapshot whole, and the receiver can start from it', async (scene) => {
    await using other = await scene.another();
    await scene.save(key(1), writeFiles);
    const before = await scene.tree(key(1));
    const received = await move({ from: scene, to: other, at: key(1) });
    keepsEqual(promises.transferred, received.key, key(1));
    keepsEqual(promises.transferred, await other.list(), [key(1)]);
    keepsEqual(promises.transferred, await other.tree(key(1)), before);
    await other.reopen();
    await other.save(key(2), async () => {}, key(1));
    keepsEqual(promises.transferred, await other.tree(key(2)), before);
  });
  test('sends with `since` only what changed, to a receiver that has the other', async (scene) => {
    await using other = await scene.another();
    await scene.save(key(1), writeFiles);
    await scene.save(key(2), changeFiles, key(1));
    await move({ from: scene, to: other, at: key(1) });
    const options = { since: key(1), signal: signal() };
    const bytes = await bytesOf(await expectOk(transfer(scene).send(key(2), options)));
    keeps(promises.transferredSince, bytes.length < BALLAST, `${bytes.length} bytes`);
    await expectOk(transfer(other).receive(key(2), streamOf(bytes), options), promises.transferredSince);
    keepsEqual(promises.transferredSince, await other.tree(key(2)), await scene.tree(key(2)));
    keepsEqual(promises.immutable, await other.tree(key(1)), await scene.tree(key(1)));
  });
  test('sends every volume of a snapshot', async (scene) => {
    await using other = await scene.another();
    const names = [toVolumeName('brew'), toVolumeName('home')];
    await using active = await scene.prepare(key(1), { empty: names });
    for (const [name, volume] of active.volumes) {
      await mounted(volume, (path) => writeFile(join(path, 'name'), name));
    }
    await expectOk(active.commit());
    await move({ from: scene, to: other, at: key(1) });
    const volumes = [...((await other.lookup(key(1)))?.volumes ?? [])];
    keepsEqual(promises.transferred, volumes.map(([name]) => name).sort(), names);
    for (const [name, volume] of volumes) {
      const text = await mounted(volume, (path) => readFile(join(path, 'name'), 'utf8').catch(String));
      keepsEqual(promises.transferred, text, name);
    }
  });
  cutTests(test);
  abortTests(test);
}

function cutTests(test: StoreTest): void {
  test('shows nothing of a stream that was cut, and can receive the whole one after', async (scene) => {
    await using other = await scene.another();
    await scene.save(key(1), writeFiles);
    const whole = await bytesOf(await expectOk(transfer(scene).send(key(1), { signal: signal() })));
    for (const part of [0, 1, whole.length >> 1, whole.length - 1]) {
      const body = streamOf(whole.subarray(0, part), new Error('the connection was lost'));
      const received = await settled(transfer(other).receive(key(1), body, { signal: signal() }));
      keeps(promises.transferCut, received.isErr(), `${part} of ${whole.length} bytes`);
      keepsEqual(promises.transferCut, await other.lookup(key(1)), undefined);
      keepsEqual(promises.transferCut, await other.list(), []);
      keepsEqual(promises.leftNothing, await other.leftovers(), []);
    }
    await expectOk(transfer(other).receive(key(1), streamOf(whole), { signal: signal() }));
    keepsEqual(promises.transferCut, await other.tree(key(1)), await scene.tree(key(1)));
  });
  test('shows nothing of a stream that just ends in the middle, or is no snapshot', async (scene) => {
    await using other = await scene.another();
    await scene.save(key(1), writeFiles);
    const whole = await bytesOf(await expectOk(transfer(scene).send(key(1), { signal: signal() })));
    for (const bytes of [whole.subarray(0, whole.length >> 1), new Uint8Array(), Buffer.alloc(5000, 'x')]) {
      const received = await settled(transfer(other).receive(key(1), streamOf(bytes), { signal: signal() }));
      keeps(promises.transferCut, received.isErr(), `${bytes.length} of ${whole.length} bytes`);
      keepsEqual(promises.transferCut, await other.list(), []);
    }
    keepsEqual(promises.leftNothing, await other.leftovers(), []);
  });
  test('receives no changes to a snapshot that it does not have', async (scene) => {
    await using other = await scene.another();
    await scene.save(key(1), writeFiles);
    await scene.save(key(2), changeFiles, key(1));
    const options = { since: key(1), signal: signal() };
    const body = await expectOk(transfer(scene).send(key(2), options));
    const received = await settled(transfer(other).receive(key(2), body, options));
    keeps(promises.transferredSince, received.isErr(), received);
    keepsEqual(promises.transferredSince, await other.list(), []);
    keepsEqual(promises.leftNothing, await other.leftovers(), []);
  });
  test('answers `not-found` for a snapshot that is not there', async (scene) => {
    const sent = await settled(transfer(scene).send(key(1), { signal: signal() }));
    const isMissing = sent.isErr() && sent.error.type === 'not-found' && sent.error.key === key(1);
    keeps(promises.notFound, isMissing, sent);
  });
}

function abortTests(test: StoreTest): void {
  test('answers an abort of a transfer with `cancelled`, and shows nothing', async (scene) => {
    await using other = await scene.another();
    await scene.save(key(1), writeFiles);
    const controller = new AbortController();
    const reason = { why: 'enough' };
    const body = await expectOk(transfer(scene).send(key(1), { signal: signal() }));
    const receiving = settled(transfer(other).receive(key(1), body, { signal: controller.signal }));
    controller.abort(reason);
    const received = await receiving;
    if (received.isErr()) keepsCancelled(promises.cancelled, received.error, reason);
    keepsEqual(promises.transferCut, await other.list(), received.isOk() ? [key(1)] : []);
  });
  test('gives up a stream that stands still once it is aborted, and leaves nothing of it', async (scene) => {
    await using other = await scene.another();
    await scene.save(key(1), writeFiles);
    const whole = await bytesOf(await expectOk(transfer(scene).send(key(1), { signal: signal() })));
    const [controller, reason] = [new AbortController(), { why: 'enough' }];
    const { body, reached } = stalledStream(whole.subarray(0, whole.length >> 1));
    const receiving = bounded(settled(transfer(other).receive(key(1), body, { signal: controller.signal })));
    await Promise.race([reached, receiving]);
    controller.abort(reason);
    const received = await receiving;
    keepsCancelled(promises.cancelled, received.isErr() && received.error, reason);
    keepsEqual(promises.transferCut, await other.list(), []);
    keepsEqual(promises.leftNothing, await other.leftovers(), []);
    await expectOk(transfer(other).receive(key(1), streamOf(whole), { signal: signal() }));
  });
  test('sends and receives nothing where it is aborted before', async (scene) => {
    await using other = await scene.another();
    await scene.save(key(1), writeFiles);
    const reason = { why: 'before' };
    const aborted = { signal: AbortSignal.abort(reason) };
    const sent = await settled(transfer(scene).send(key(1), aborted));
    keepsCancelled(promises.cancelled, sent.isErr() && sent.error, reason);
    const body = await expectOk(transfer(scene).send(key(1), { signal: signal() }));
    const received = await settled(transfer(other).receive(key(1), body, aborted));
    keepsCancelled(promises.cancelled, received.isErr() && received.error, reason);
    keepsEqual(promises.transferCut, await other.list(), []);
  });
}

function transfer(scene: Scene): StoreFeatures['transfer'] {
  return (scene.store as StoreWith<'transfer'>).transfer;
}

async function move(options: {
  readonly from: Scene;
  readonly to: Scene;
  readonly at: StepKey;
}): Promise<{ readonly key: StepKey }> {
  const { from, to, at } = options;
  const body = await expectOk(transfer(from).send(at, { signal: signal() }));
  return expectOk(transfer(to).receive(at, body, { signal: signal() }), promises.transferred);
}

const BALLAST = 1024 * 1024;

async function writeFiles(path: string): Promise<void> {
  await writeFile(join(path, 'ballast'), randomBytes(BALLAST));
  await writeFile(join(path, 'changed'), 'before');
  await writeFile(join(path, 'deleted'), '');
  await symlink('changed', join(path, 'link'));
}

async function changeFiles(path: string): Promise<void> {
  await appendFile(join(path, 'changed'), ' and after');
  await chmod(join(path, 'changed'), 0o4711);
  await rm(join(path, 'deleted'));
  await writeFile(join(path, 'new'), 'new');
}
