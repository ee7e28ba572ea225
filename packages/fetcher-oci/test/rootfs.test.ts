import {
  chmod,
  chown,
  cp,
  link,
  lstat,
  mkdir,
  readdir,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { lockDirectory, toHostPath } from '@snapstep/core/backend';
import { collectLog, expectErr, expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import {
  bytesRead,
  directoryVolumes,
  image,
  listTree,
  openBench,
  quiet,
  withoutPrograms,
} from './fixtures.ts';

import { digestOf, makeSource } from './rootfs-source.ts';

needs('root')('a root file system in a directory', () => {
  test('is copied with links, devices, modes, owners and extended attributes', async () => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    await chmod(source, 0o711);
    expect(expectOk(await bench.fetch(`rootfs:${source}`))).toEqual({ env: {} });
    expect(listTree(bench.rootfs)).toEqual(listTree(source));
    expect((await lstat(bench.rootfs)).mode & 0o7777).toBe(0o711);
    const tar = await execa('tar', ['--xattrs', '-cC', bench.rootfs, 'a/one'], { encoding: 'latin1' });
    expect(tar.stdout).toContain('SCHILY.xattr.user.note=kept');
  });

  test('has the digest of its content, wherever it is and whenever it was made', async () => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    const copy = join(bench.dir, 'copy');
    await execa('cp', ['-a', source, copy]);
    await utimes(join(copy, 'plain'), 1, 1);
    expect(await digestOf(bench, copy)).toBe(await digestOf(bench, source));
  });

  test('is refused where an open store lies in it, whose lock reading it would cost', async () => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    const store = toHostPath(join(source, 'store'));
    await mkdir(store);
    await using _lock = expectOk(await lockDirectory(store));
    const error = expectErr(await bench.fetch(`rootfs:${source}`));
    expect(error).toMatchObject({ message: expect.stringContaining(`(${store}), which cannot be an image`) });
  });

  const changes: readonly [string, (source: string) => Promise<unknown>][] = [
    ['a content', (source) => writeFile(join(source, 'plain'), 'PLAIN')],
    ['a mode', (source) => chmod(join(source, 'plain'), 0o755)],
    ['the mode of the root', (source) => chmod(source, 0o700)],
    ['an owner', (source) => chown(join(source, 'plain'), 1, 0)],
    ['a group', (source) => chown(join(source, 'empty'), 0, 1)],
    ['a name', (source) => rename(join(source, 'plain'), join(source, 'plainer'))],
    ['a new file', (source) => writeFile(join(source, 'empty/new'), '')],
    ['a new directory', (source) => mkdir(join(source, 'empty/new'))],
    ['the directory a file is in', (source) => rename(join(source, 'plain'), join(source, 'empty/plain'))],
    ['a removed file', (source) => rm(join(source, 'plain'))],
    [
      'a link',
      async (source) => {
        await rm(join(source, 'link'));
        await symlink('/etc/shadow', join(source, 'link'));
      },
    ],
    [
      'a hard link that is broken',
      async (source) => {
        await rm(join(source, 'a/two'));
        await cp(join(source, 'a/one'), join(source, 'a/two'));
        await chmod(join(source, 'a/two'), 0o4755);
      },
    ],
    [
      'a hard link that is made',
      async (source) => {
        await rm(join(source, 'plain'));
        await link(join(source, 'a/one'), join(source, 'plain'));
      },
    ],
    [
      'a device',
      async (source) => {
        await rm(join(source, 'null'));
        await execa('mknod', ['-m', '644', join(source, 'null'), 'c', '1', '5']);
      },
    ],
    [
      'a type',
      async (source) => {
        await rm(join(source, 'pipe'));
        await execa('mknod', ['-m', '644', join(source, 'pipe'), 'c', '0', '0']);
      },
    ],
    [
      'a content of the same size and times, as far as they can be set (V6)',
      async (source) => {
        const { atime, mtime } = await lstat(join(source, 'plain'));
        await writeFile(join(source, 'plain'), 'PLAIN');
        await utimes(join(source, 'plain'), atime, mtime);
      },
    ],
  ];

  test.each(changes)('has another digest after a change of %s', async (_, change) => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    const before = await digestOf(bench, source);
    expect(await digestOf(bench, source)).toBe(before);
    await change(source);
    expect(await digestOf(bench, source)).not.toBe(before);
  });

  test('is read once: after that only what changed is read, by another fetcher either (K7)', async () => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    const size = 8 * 1024 * 1024;
    await writeFile(join(source, 'big'), Buffer.alloc(size, 'a'));
    await setTimeout(150);
    const first = await digestOf(bench, source);
    await bench.fetcher[Symbol.asyncDispose]();
    await using second = await openBench({ stateDir: toHostPath(join(bench.dir, 'state')) });
    await writeFile(join(source, 'plain'), 'plain');
    const again = await bytesRead(() => withoutPrograms(() => digestOf(second, source)));
    expect(again.value).toBe(first);
    expect(again.bytes).toBeLessThan(size / 8);
  });

  test('is not believed to be unchanged when it was written to a moment ago', async () => {
    await using bench = await openBench();
    const source = join(bench.dir, 'source');
    await mkdir(source);
    for (let i = 0; i < 200; i += 1) {
      await writeFile(join(source, 'f'), `${1000 + i}`);
      const digest = await digestOf(bench, source);
      await writeFile(join(source, 'f'), `${3000 + i}`);
      expect(await digestOf(bench, source)).not.toBe(digest);
    }
  });

  test('with names that are not UTF-8 is copied and pinned by their bytes (K1)', async () => {
    await using bench = await openBench();
    const source = join(bench.dir, 'source');
    await mkdir(source);
    const at = (byte: number) => Buffer.concat([Buffer.from(`${source}/`), Buffer.from([byte])]);
    await writeFile(at(0xff), 'x');
    const first = await digestOf(bench, source);
    await rename(at(0xff), at(0xfe));
    expect(await digestOf(bench, source)).not.toBe(first);
    expectOk(await bench.fetch(`rootfs:${source}`));
    expect(await readdir(bench.rootfs, { encoding: 'buffer' })).toEqual([Buffer.from([0xfe])]);
  });

  test('that was changed since it was pinned is refused', async () => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    const pinned = expectOk(await bench.fetcher.pin(image(`rootfs:${source}`), quiet()));
    await writeFile(join(source, 'plain'), 'other');
    const io = { log: collectLog(), signal: quiet() };
    expect(expectErr(await bench.fetcher.unpack(pinned, directoryVolumes(bench.rootfs), io))).toMatchObject({
      type: 'failed',
      message: `${source} was changed since it was pinned`,
    });
    expect(await readdir(bench.rootfs)).toEqual([]);
  });

  test('that is changed while it is copied is refused, also when it is changed back (K5)', async () => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    for (let i = 0; i < 2000; i += 1) await writeFile(join(source, `file${i}`), 'x');
    const pinned = expectOk(await bench.fetcher.pin(image(`rootfs:${source}`), quiet()));
    const volumes = directoryVolumes(bench.rootfs);
    const unpacking = bench.fetcher.unpack(pinned, volumes, { log: collectLog(), signal: quiet() });
    while ((await readdir(bench.rootfs)).length === 0) await new Promise(setImmediate);
    await writeFile(join(source, 'plain'), 'other');
    await writeFile(join(source, 'plain'), 'plain');
    expect(expectErr(await unpacking)).toMatchObject({
      message: expect.stringContaining('was changed while it was copied'),
    });
  });

  test('with something mounted in it is refused', async () => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    await execa('mount', ['-t', 'tmpfs', 'none', join(source, 'empty')]);
    try {
      expect(expectErr(await bench.fetch(`rootfs:${source}`))).toMatchObject({
        type: 'failed',
        message: expect.stringContaining(`something is mounted at ${source}/empty`),
      });
    } finally {
      await execa('umount', [join(source, 'empty')]);
    }
  });

  test('that holds the place it is to be copied to is refused (B10)', async () => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    const pinned = expectOk(await bench.fetcher.pin(image(`rootfs:${source}`), quiet()));
    const io = { log: collectLog(), signal: quiet() };
    const error = expectErr(await bench.fetcher.unpack(pinned, directoryVolumes(join(source, 'empty')), io));
    expect(error).toMatchObject({ message: expect.stringContaining('holds the place') });
  });

  test('is found by the name that a spec uses, through a link too', async () => {
    await using place = await openBench();
    const source = await makeSource(place);
    await symlink(source, join(place.dir, 'link'));
    const images = new Map([['debian:12', `rootfs:${place.dir}/link`]]);
    await using bench = await openBench({ images });
    const pinned = expectOk(await bench.fetcher.pin(image('debian:12'), quiet()));
    expect(pinned).toMatchObject({ name: 'debian:12', digest: await digestOf(place, source) });
    expectOk(await bench.fetch('debian:12'));
    expect(listTree(bench.rootfs)).toEqual(listTree(source));
  });

  test('that is missing is "image-not-found", with the name and the path', async () => {
    await using bench = await openBench({ images: new Map([['debian:12', 'rootfs:/no/such/place']]) });
    const error = expectErr(await bench.fetch('debian:12'));
    expect(error).toMatchObject({ type: 'image-not-found', image: image('debian:12') });
    expect(error).toMatchObject({
      message: expect.stringMatching(/"debian:12" is looked for at \/no\/such\/place/),
    });
  });
});
