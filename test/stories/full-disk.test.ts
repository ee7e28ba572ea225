import { randomBytes } from 'node:crypto';
import { mkdir, open, statfs, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Builder, openBuilder, parseSpec, toHostPath } from '@snapstep/core';
import { scriptedFetcher, scriptedSandbox } from '@snapstep/core/testing';
import { openOciFetcher } from '@snapstep/fetcher-oci';
import { openRuncSandbox } from '@snapstep/sandbox-runc';
import { openBtrfsStore } from '@snapstep/store-btrfs';
import { openRsyncStore } from '@snapstep/store-rsync';
import {
  btrfsVolume,
  busyboxRootfs,
  expectErr,
  expectOk,
  ext4Volume,
  needs,
  tempDir,
  tmpfsVolume,
  xfsVolume,
} from '@snapstep/test-support';
import { expect, it } from 'vitest';

const MIB = 1024 * 1024;

needs(
  'root',
  'btrfs',
  'busybox',
  'runc',
)('a store on a disk that is full', () => {
  it('is pruned in the middle of a build, which then goes on; what is too big for it is told', async () => {
    await using disk = await btrfsVolume({ sizeMiB: 320 });
    await using dir = await tempDir();
    const place = (name: string): ReturnType<typeof toHostPath> => toHostPath(join(dir.path, name));
    for (const name of ['small', 'big']) {
      await mkdir(place(name));
      await busyboxRootfs(place(name), ['sh', 'echo']);
    }
    await writeFile(join(place('big'), 'file'), randomBytes(400 * MIB));
    await using sandbox = expectOk(await openRuncSandbox({ stateDir: place('sandbox') }));
    await using store = expectOk(await openBtrfsStore({ path: toHostPath(join(disk.path, 'store')) }));
    const images = new Map(['small', 'big'].map((name) => [name, `rootfs:${place(name)}`]));
    await using fetcher = expectOk(await openOciFetcher({ stateDir: place('fetcher'), images }));
    const parts = { store, sandbox, fetcher, stateDir: place('builder') };
    await using builder = expectOk(await openBuilder(parts));

    await mkdir(place('context'));
    let notes = '';
    for (let i = 0; i < 4; i += 1) {
      await writeFile(join(place('context'), 'payload'), randomBytes(90 * MIB));
      const built = await builder.build({
        spec: expectOk(parseSpec('((from small) (copy (src payload) (dst /payload)))')),
        context: place('context'),
        onEvent: (event) => {
          if (event.type === 'step-output') notes += Buffer.from(event.chunk).toString();
        },
      });
      await expectOk(built)[Symbol.asyncDispose]();
    }
    expect(notes).toContain('The disk is full: making room');

    const tooBig = await builder.build({ spec: expectOk(parseSpec('((from big))')) });
    expect(expectErr(tooBig)).toMatchObject({ type: 'fetch', error: { type: 'no-space' } });
    expect(expectOk(await store.list()).length).toBeLessThan(5);
  });
});

needs('root', 'rsync')('a store on a disk that has no inodes left', () => {
  it('is pruned until there are some again, however many bytes are free (V5)', async () => {
    await using dir = await tempDir();
    await using disk = await tmpfsVolume({ sizeMiB: 64, inodes: 400 });
    const place = (name: string): ReturnType<typeof toHostPath> => toHostPath(join(dir.path, name));
    await using store = expectOk(await openRsyncStore({ path: toHostPath(join(disk.path, 'store')) }));
    const fetcher = scriptedFetcher({ base: { files: { origin: 'base' } } });
    const parts = { store, sandbox: scriptedSandbox({}), fetcher, stateDir: place('builder') };
    await using builder = expectOk(await openBuilder(parts));
    const copy = async (name: string, files: number) => {
      const context = place(name);
      await mkdir(context);
      for (let i = 0; i < files; i += 1) await writeFile(join(context, `${i}`), name);
      return builder.build({ spec: expectOk(parseSpec('((from base) (copy (src .) (dst /in/)))')), context });
    };
    for (let i = 0; i < 6; i += 1) await expectOk(await copy(`small-${i}`, 5))[Symbol.asyncDispose]();
    await fillInodes(disk.path);
    const before = expectOk(await store.list()).length;
    await expectOk(await copy('wide', 25))[Symbol.asyncDispose]();
    expect(before - expectOk(await store.list()).length).toBeGreaterThan(1);
  });
});

needs('root', 'rsync')('a disk that is full to the last byte, with the state of the builder on it', () => {
  it('is pruned, and builds go on; what is cached needs no byte', async () => {
    await using dir = await tempDir();
    await using disk = await tmpfsVolume({ sizeMiB: 64 });
    const place = (name: string): ReturnType<typeof toHostPath> => toHostPath(join(disk.path, name));
    await using store = expectOk(await openRsyncStore({ path: place('store') }));
    const fetcher = scriptedFetcher({ base: { files: { origin: 'base' } } });
    const parts = { store, sandbox: scriptedSandbox({}), fetcher, stateDir: place('builder') };
    await using builder = expectOk(await openBuilder(parts));
    const copy = async (name: string) => {
      const context = toHostPath(join(dir.path, name));
      await mkdir(context, { recursive: true });
      await writeFile(join(context, 'file'), name.repeat(MIB));
      return builder.build({ spec: expectOk(parseSpec('((from base) (copy (src .) (dst /in/)))')), context });
    };
    for (let i = 0; i < 3; i += 1) await expectOk(await copy(`old-${i}`))[Symbol.asyncDispose]();
    await fillBytes(disk.path);
    await expectOk(await copy('new'))[Symbol.asyncDispose]();
    await fillBytes(disk.path);
    await expectOk(await copy('new'))[Symbol.asyncDispose]();
    expect(expectOk(await builder.prune({})).removed.length).toBeGreaterThan(0);
    expect(expectOk(await store.list())).toEqual([]);
  });
});

needs(
  'root',
  'busybox',
  'btrfs',
  'xfs',
  'runc',
)('a worker that was ended while its disk was full to the last byte', () => {
  it.each([
    ['Btrfs', () => btrfsVolume({ sizeMiB: 128 })],
    ['ext4', () => ext4Volume({ sizeMiB: 64 })],
    ['tmpfs', () => tmpfsVolume({ sizeMiB: 64 })],
    ['XFS', () => xfsVolume({ sizeMiB: 320 })],
  ])('starts again with all of its state on that %s, and makes room', async (_, makeDisk) => {
    await using dir = await tempDir();
    await using disk = await makeDisk();
    const rootfs = join(dir.path, 'rootfs');
    await mkdir(rootfs);
    await busyboxRootfs(rootfs, ['sh', 'cat']);
    await withWorker(disk.path, rootfs, async (builder) => {
      for (const name of ['one', 'two', 'three'])
        await expectOk(await fillsSome(builder, name))[Symbol.asyncDispose]();
    });
    await fillBytes(disk.path);
    await withWorker(disk.path, rootfs, async (builder) => {
      const before = (await collectSteps(builder)).length;
      await expectOk(await buildOf(builder, 'echo four > /name'))[Symbol.asyncDispose]();
      // One was saved, so one went at least.
      expect((await collectSteps(builder)).length).toBeLessThanOrEqual(before);
      expect(expectOk(await builder.prune({})).removed.length).toBeGreaterThan(0);
    });
  });
});

/** All parts of a worker, with what they keep on one disk. */
async function withWorker(
  disk: string,
  rootfs: string,
  work: (builder: Builder) => Promise<void>,
): Promise<void> {
  const place = (name: string) => toHostPath(join(disk, name));
  const images = new Map([['base', `rootfs:${rootfs}`]]);
  await using sandbox = expectOk(await openRuncSandbox({ stateDir: place('sandbox') }));
  await using store = expectOk(await openRsyncStore({ path: place('store') }));
  await using fetcher = expectOk(await openOciFetcher({ stateDir: place('fetcher'), images }));
  await using builder = expectOk(await openBuilder({ store, sandbox, fetcher, stateDir: place('builder') }));
  await work(builder);
}

/** A step that leaves some megabytes behind, which no other has. */
function fillsSome(builder: Builder, name: string): ReturnType<Builder['build']> {
  return buildOf(builder, `echo ${name} > /name; cat /bin/sh /bin/sh /bin/sh /bin/sh /bin/sh /name > /big`);
}

function buildOf(builder: Builder, script: string): ReturnType<Builder['build']> {
  return builder.build({
    spec: expectOk(parseSpec(`((from base) (shell /bin/sh -c) (run (shell "${script}")))`)),
  });
}

async function collectSteps(builder: Builder): Promise<readonly unknown[]> {
  return expectOk(await builder.list());
}

/** Takes all inodes but a few. */
async function fillInodes(path: string): Promise<void> {
  await mkdir(join(path, 'others'));
  const { ffree } = await statfs(path);
  for (let i = 3; i < ffree; i += 1) await writeFile(join(path, 'others', `${i}`), '');
}

/** Takes every byte. */
async function fillBytes(path: string): Promise<void> {
  await using file = await open(join(path, 'filler'), 'a');
  for (const size of [MIB, 4096, 1]) {
    const block = randomBytes(size);
    while (await file.write(block).catch(() => undefined)) {}
  }
}
