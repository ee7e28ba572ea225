import {
  chmod,
  chown,
  lchown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { err } from 'neverthrow';
import { failed } from '../../backend/failures.ts';
import { hostTool } from '../host-tool.ts';
import { keeps, keepsCancelled, keepsEqual } from '../promise.ts';
import { describeTree } from '../store/describe-tree.ts';
import { expectOk, isRoot } from '../store/scene.ts';
import { withText } from './pins.ts';
import { fetcherPromises as promises } from './promises.ts';
import { type FetcherTest, treeOf } from './scene.ts';
import { settle } from './settle-times.ts';

/** From a digest to files. */
export function unpackTests(test: FetcherTest): void {
  test('writes exactly the files of the image: modes, owners, links, times', async (scene) => {
    const { image, files } = await scene.publish('everything', makeEverything);
    const expected = await describeTree(files);
    const { result, volumes } = await scene.unpack(await scene.pin(image));
    keeps(promises.unpacked, result.isOk(), result);
    expectLines(await treeOf(volumes), expected);
  });
  test('touches nothing on the host that a link in the image leads to', async (scene) => {
    const outside = await mkdtemp(join(tmpdir(), 'snapstep-suite-'));
    try {
      await writeFile(join(outside, 'kept'), 'kept');
      const before = await describeTree(outside);
      const { image, files } = await scene.publish('links', async (path) => {
        await symlink(join(outside, 'kept'), join(path, 'file'));
        await symlink(outside, join(path, 'directory'));
        await symlink(`${'../'.repeat(40)}${outside.slice(1)}/kept`, join(path, 'up'));
        if (isRoot) await lchown(join(path, 'file'), 12, 34);
        await settle(path);
      });
      const expected = await describeTree(files);
      const { result, volumes } = await scene.unpack(await scene.pin(image));
      keeps(promises.unpacked, result.isOk(), result);
      expectLines(await treeOf(volumes), expected);
      keepsEqual(promises.outside, await describeTree(outside), before);
    } finally {
      await rm(outside, { recursive: true });
    }
  });
  test('writes the same files each time, also several times at once', async (scene) => {
    const { image, files } = await scene.publish('twice', makeEverything);
    const pinned = await scene.pin(image);
    const expected = await describeTree(files);
    const many = await Promise.all(
      [1, 2, 3].map(async () => {
        const volumes = await scene.volumes();
        const io = { log: { write: async () => {} }, signal: new AbortController().signal };
        await expectOk(scene.fetcher.unpack(pinned, volumes, io), promises.unpacked);
        return treeOf(volumes);
      }),
    );
    scene.expectUnmounted();
    for (const tree of many) expectLines(tree, expected);
  });
  test('writes the image that was pinned, or fails, where the name means another by now', async (scene) => {
    const { image } = await scene.publish('moving', withText('old'));
    const pinned = await scene.pin(image);
    const old = await scene.unpack(pinned);
    const before = await treeOf(old.volumes);
    await scene.publish('moving', withText('new'));
    const { result, volumes } = await scene.unpack(pinned);
    if (result.isOk()) keepsEqual(promises.exact, await treeOf(volumes), before);
    else keeps(promises.failures, result.error.type !== 'cancelled', result.error);
  });
  test('fails where the content is not what was pinned (if the place can damage it)', async (scene) => {
    if (scene.place.damage === undefined) return;
    const { image } = await scene.publish('damaged', withText('a text of some length'));
    const pinned = await scene.pin(image);
    await scene.place.damage(image);
    const { result } = await scene.unpack(pinned);
    keeps(promises.verified, result.isErr(), result);
    keeps(promises.failures, result.error.type !== 'cancelled', result.error);
  });
  test('tells the log what it does', async (scene) => {
    const { image } = await scene.publish('logged', withText('text'));
    const { log } = await scene.unpack(await scene.pin(image));
    keeps(promises.logged, log.trim() !== '' && log.endsWith('\n'), log);
  });
  test('rejects with the reason where its log rejects, and leaves nothing running', async (scene) => {
    const { image } = await scene.publish('unlogged', withText('text'));
    const [pinned, volumes, reason] = [await scene.pin(image), await scene.volumes(), new Error('disk full')];
    const io = { log: { write: () => Promise.reject(reason) }, signal: new AbortController().signal };
    const ended = await scene.fetcher.unpack(pinned, volumes, io).then(
      (result) => result,
      (error: unknown) => error,
    );
    keeps(promises.logRejects, ended === reason, ended);
    scene.expectUnmounted();
    await scene.expectNothingLeft();
    const { result } = await scene.unpack(pinned);
    keeps(promises.unpacked, result.isOk(), result);
  });
  // https://github.com/ocurrent/obuilder/commit/ab58e15
  test('keeps no descriptors of calls that have settled (T6)', async (scene) => {
    const { image } = await scene.publish('often', withText('text'));
    const once = async () => scene.unpack(await scene.pin(image));
    await once();
    const before = (await readdir('/dev/fd')).length;
    for (let round = 0; round < 8; round += 1) await once();
    const more = (await readdir('/dev/fd')).length - before;
    keeps(promises.quiet, more < 5, `${more} more open descriptors`);
  });
  test('fails with the reason where a volume cannot be mounted', async (scene) => {
    const { image } = await scene.publish('broken', withText('text'));
    const mount = async () => err(failed('the disk is broken'));
    const volumes = new Map([...(await scene.volumes()).keys()].map((name) => [name, { name, mount }]));
    const io = { log: { write: async () => {} }, signal: new AbortController().signal };
    const result = await scene.fetcher.unpack(await scene.pin(image), volumes, io);
    keeps(promises.failures, result.isErr() && result.error.type === 'failed', result);
  });
}

/** What an image says about the commands that run in it. */
export function configTests(test: FetcherTest): void {
  test('gives what the image says: environment, user, directory', async (scene) => {
    const config = {
      env: { PATH: '/usr/bin:/bin', EMPTY: '', ODD: 'a=b "c"' },
      user: { uid: 1000, gid: 1001 },
      cwd: '/srv/app',
    };
    const { image } = await scene.publish('configured', withText('text'), config);
    const { result } = await scene.unpack(await scene.pin(image));
    keepsEqual(promises.configuration, result.isOk() ? result.value : result.error, config);
  });
  test('says nothing where the image says nothing', async (scene) => {
    const { image } = await scene.publish('silent', withText('text'), { env: {} });
    const { result } = await scene.unpack(await scene.pin(image));
    keepsEqual(promises.configuration, result.isOk() ? result.value : result.error, {
      env: {},
    });
  });
  test('gives another digest for another configuration', async (scene) => {
    const one = await scene.publish('one', withText('text'), { env: { A: '1' } });
    const other = await scene.publish('other', withText('text'), { env: { A: '2' } });
    const digests = [await scene.pin(one.image), await scene.pin(other.image)].map(({ digest }) => digest);
    keeps(promises.content, digests[0] !== digests[1], digests);
  });
}

/** An abort of `unpack`. */
export function abortTests(test: FetcherTest): void {
  test('writes nothing where it is aborted before', async (scene) => {
    const { image } = await scene.publish('aborted', withText('text'));
    const reason = new Error('no longer wanted');
    const { result, volumes } = await scene.unpack(await scene.pin(image), {
      signal: AbortSignal.abort(reason),
    });
    keepsCancelled(promises.cancelled, result.isErr() && result.error, reason);
    keepsEqual(promises.nothingWritten, { files: (await treeOf(volumes)).length }, { files: volumes.size });
  });
  test('settles, with nothing still running, when it is aborted at any moment', async (scene) => {
    const { image } = await scene.publish('aborted', makeMany);
    const pinned = await scene.pin(image);
    for (let round = 0; round < 8; round += 1) {
      const controller = new AbortController();
      const timer = setTimeout(() => controller.abort('enough'), Math.random() * 100);
      const { result, volumes } = await scene.unpack(pinned, { signal: controller.signal });
      clearTimeout(timer);
      if (result.isOk()) continue;
      const before = await treeOf(volumes);
      keepsCancelled(promises.cancelled, result.error, 'enough');
      await scene.expectNothingLeft();
      keepsEqual(promises.quiet, await treeOf(volumes), before);
    }
    const { result } = await scene.unpack(pinned);
    keeps(promises.unpacked, result.isOk(), result);
  });
}

async function makeEverything(path: string): Promise<void> {
  for (const directory of ['bin', 'tmp', 'var/empty', 'home/somebody']) {
    await mkdir(join(path, directory), { recursive: true });
  }
  await writeFile(join(path, 'bin/program'), '#!/bin/sh\n');
  await chmod(join(path, 'bin/program'), 0o755);
  await link(join(path, 'bin/program'), join(path, 'bin/alias'));
  await symlink('program', join(path, 'bin/link'));
  await symlink('/nowhere/at/all', join(path, 'dangling'));
  await writeFile(join(path, 'empty'), '');
  await writeFile(join(path, 'ein größeres file'), Buffer.alloc(300_000, 'x'));
  await writeFile(join(path, `${'long'.repeat(50)}`), 'a name of 200 characters');
  if (isRoot) await makeWhatRootMay(path);
  await chmod(join(path, 'tmp'), 0o1777);
  await chmod(path, 0o755);
  await settle(path);
}

async function makeWhatRootMay(path: string): Promise<void> {
  for (const [name, id, mode] of [
    ['setuid', 0, 0o4755],
    ['setgid', 70_000, 0o2755],
    ['private', 1234, 0o600],
    ['nobody', 2_000_000, 0o444],
  ] as const) {
    await writeFile(join(path, name), name);
    await chown(join(path, name), id, id);
    await chmod(join(path, name), mode);
  }
  await lchown(join(path, 'bin/link'), 12, 34);
  await chown(join(path, 'home/somebody'), 1000, 1000);
  await hostTool('mkfifo', [join(path, 'pipe')]);
}

async function makeMany(path: string): Promise<void> {
  for (let directory = 0; directory < 10; directory += 1) {
    await mkdir(join(path, `${directory}`));
    for (let file = 0; file < 100; file += 1)
      await writeFile(join(path, `${directory}/${file}`), `${file}`.repeat(500));
  }
  await settle(path);
}

/** Only the lines that differ are shown. */
function expectLines(seen: readonly string[], expected: readonly string[]): void {
  keepsEqual(
    promises.exact,
    seen.filter((line) => !expected.includes(line)),
    expected.filter((line) => !seen.includes(line)),
  );
}
