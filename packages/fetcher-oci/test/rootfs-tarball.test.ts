import { lstat, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { busyboxRootfs, expectErr, expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { listTree, openBench } from './fixtures.ts';
import { makeTar } from './make-image.ts';

import { MEMBERS, makeSource } from './rootfs-source.ts';

needs('root')('a root file system in a tarball', () => {
  test.each(['', 'gzip', 'xz', 'zstd', 'bzip2'])('is unpacked (compressed by "%s")', async (program) => {
    await using bench = await openBench();
    const source = await makeSource(bench);
    const tar = makeTar(MEMBERS);
    const body =
      program === '' ? tar : (await execa(program, ['-c'], { input: tar, encoding: 'buffer' })).stdout;
    await writeFile(join(bench.dir, 'a:b.tar'), body);
    expect(expectOk(await bench.fetch(`rootfs:${bench.dir}/a:b.tar`))).toEqual({ env: {} });
    await rm(join(source, 'plain'));
    await rm(join(source, 'empty'), { recursive: true });
    expect(listTree(bench.rootfs)).toEqual(listTree(source));
    const again = await execa('tar', ['--xattrs', '-cC', bench.rootfs, 'a/one'], { encoding: 'latin1' });
    expect(again.stdout).toContain('SCHILY.xattr.user.note=kept');
  });

  test('gives directories that it does not name the same mode whatever our umask is (R20)', async () => {
    await using bench = await openBench();
    await writeFile(join(bench.dir, 'r.tar'), makeTar([{ path: 'a/b/c', mode: 0o666 }]));
    const before = process.umask(0o077);
    try {
      expectOk(await bench.fetch(`rootfs:${bench.dir}/r.tar`));
    } finally {
      process.umask(before);
    }
    expect(listTree(bench.rootfs)).toEqual(['a 40755 0:0', 'a/b 40755 0:0', 'a/b/c 100666 0:0 x1']);
  });

  test('of busybox is the same as the directory it was made of', async () => {
    await using bench = await openBench();
    const source = join(bench.dir, 'source');
    await mkdir(source);
    await busyboxRootfs(source);
    await execa('tar', ['-czf', join(bench.dir, 'r.tgz'), '-C', source, '.']);
    expectOk(await bench.fetch(`rootfs:${bench.dir}/r.tgz`));
    expect(listTree(bench.rootfs)).toEqual(listTree(source));
  });

  test.each([
    ['a name with ..', [{ path: '../evil', content: 'x' }]],
    ['an absolute name', [{ path: '/evil-snapstep-test', content: 'x' }]],
    ['a write through a link', [{ path: 'out', type: 'symlink', link: 'OUTSIDE' }, { path: 'out/evil' }]],
    [
      'a write through two links',
      [
        { path: 'up', type: 'symlink', link: '..' },
        { path: 'out', type: 'symlink', link: 'up/outside' },
        { path: 'out/evil' },
      ],
    ],
    [
      'a hard link to a file outside',
      [
        { path: 'e', type: 'hardlink', link: 'OUTSIDE/precious' },
        { path: 'e', content: 'x' },
      ],
    ],
  ] as const)('keeps what is outside of the root file system as it is: %s (C16)', async (_, members) => {
    await using bench = await openBench();
    const outside = join(bench.dir, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'precious'), 'gold');
    const aimed = JSON.parse(JSON.stringify(members).replaceAll('OUTSIDE', outside));
    await writeFile(join(bench.dir, 'r.tar'), makeTar(aimed));
    await bench.fetch(`rootfs:${bench.dir}/r.tar`);
    expect((await readdir(bench.dir)).sort()).toEqual(['outside', 'r.tar', 'rootfs', 'state']);
    expect(listTree(outside)).toEqual(['precious 100644 0:0 x1 gold']);
    await expect(lstat('/evil-snapstep-test')).rejects.toThrow('ENOENT');
  });

  test('that is cut off, or no tarball at all, is refused', async () => {
    await using bench = await openBench();
    const file = join(bench.dir, 'r.tar');
    for (const body of [makeTar([{ path: 'a', content: 'x'.repeat(9000) }]).subarray(0, 3000), 'nonsense']) {
      await writeFile(file, body);
      expect(expectErr(await bench.fetch(`rootfs:${file}`))).toMatchObject({
        type: 'failed',
        message: expect.stringContaining(`${file} cannot be unpacked: tar: `),
      });
    }
  });
});
