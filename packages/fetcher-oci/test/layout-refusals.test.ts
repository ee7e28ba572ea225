import { mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { collectLog, expectErr, expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { directoryVolumes, image, listTree, openBench, quiet, withoutPrograms } from './fixtures.ts';
import { makeLayout, readBlobJson } from './make-image.ts';

needs(
  'root',
  'skopeo',
  'umoci',
)('an OCI layout that is pinned or refused', () => {
  test('is pinned by reading, without any program', async () => {
    await using bench = await openBench();
    const { v1 } = await makeLayout(join(bench.dir, 'l'), { v1: { layers: [[{ path: 'a' }]] } });
    const pinned = await withoutPrograms(async () =>
      bench.fetcher.pin(image(`oci:${bench.dir}/l:v1`), quiet()),
    );
    expect(expectOk(pinned)).toEqual({ ...image(`oci:${bench.dir}/l:v1`), digest: v1?.digest });
  });

  test('lists the tags there are when the one wanted is missing', async () => {
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [] }, v2: { layers: [[{ path: 'a' }]] } });
    for (const name of [`oci:${bench.dir}/l:v3`, `oci:${bench.dir}/l`]) {
      expect(expectErr(await bench.fetch(name))).toMatchObject({
        type: 'image-not-found',
        message: expect.stringContaining('there are: v1, v2'),
      });
    }
  });

  test('is not found where there is no directory, and refused where there is no layout', async () => {
    await using bench = await openBench();
    expect(expectErr(await bench.fetch(`oci:${bench.dir}/none`)).type).toBe('image-not-found');
    await mkdir(join(bench.dir, 'l'));
    await writeFile(join(bench.dir, 'l/index.json'), '[[[');
    expect(expectErr(await bench.fetch(`oci:${bench.dir}/l`))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('is not an OCI layout'),
    });
  });

  test('refuses a blob that was tampered with, be it layer, config or manifest', async () => {
    await using bench = await openBench();
    const { v1 } = await makeLayout(join(bench.dir, 'l'), {
      v1: { layers: [[{ path: 'a', content: 'x' }]] },
    });
    const manifest = v1?.digest ?? '';
    const { config, layers } = await readBlobJson(join(bench.dir, 'l'), manifest);
    for (const digest of [layers[0]?.digest ?? '', config.digest, manifest]) {
      const file = join(bench.dir, 'l/blobs', digest.replace(':', '/'));
      const good = await readFile(file);
      const bad = Buffer.from(good);
      bad.writeUInt8((bad.at(-4) ?? 0) ^ 0x11, bad.length - 4);
      await writeFile(file, bad);
      expect(expectErr(await bench.fetch(`oci:${bench.dir}/l`)), digest).toMatchObject({ type: 'failed' });
      expect(await readdir(bench.rootfs).catch(() => [])).toEqual([]);
      await writeFile(file, good);
    }
    expectOk(await bench.fetch(`oci:${bench.dir}/l`));
  });

  test('refuses an image that is another one than when it was pinned', async () => {
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [[{ path: 'a' }]] } });
    const pinned = expectOk(await bench.fetcher.pin(image(`oci:${bench.dir}/l:v1`), quiet()));
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [[{ path: 'b' }]] } });
    const io = { log: collectLog(), signal: quiet() };
    const error = expectErr(await bench.fetcher.unpack(pinned, directoryVolumes(bench.rootfs), io));
    expect(error).toMatchObject({ type: 'failed', message: expect.stringContaining('changed') });
  });

  test.each([
    ['a name with ..', [[{ path: '../evil', content: 'x' }]]],
    ['an absolute name', [[{ path: '/evil', content: 'x' }]]],
    [
      'a link and a write through it',
      [[{ path: 'out', type: 'symlink', link: 'OUTSIDE' }, { path: 'out/evil' }]],
    ],
    [
      'a link in one layer, a write in the next',
      [[{ path: 'out', type: 'symlink', link: 'OUTSIDE' }], [{ path: 'out/evil' }]],
    ],
    [
      'a whiteout through a link',
      [[{ path: 'out', type: 'symlink', link: 'OUTSIDE' }], [{ path: 'out/.wh.precious' }]],
    ],
    [
      'an opaque directory through a link',
      [[{ path: 'out', type: 'symlink', link: 'OUTSIDE' }], [{ path: 'out/.wh..wh..opq' }]],
    ],
    [
      'a hard link to a file outside',
      [
        [
          { path: 'evil', type: 'hardlink', link: 'OUTSIDE/precious' },
          { path: 'evil', content: 'x' },
        ],
      ],
    ],
    ['the root as a link', [[{ path: '.', type: 'symlink', link: 'OUTSIDE' }, { path: 'evil' }]]],
    ['a whiteout of ..', [[{ path: 'a' }], [{ path: '.wh...' }]]],
    ['a whiteout of .', [[{ path: 'a' }], [{ path: '.wh..' }]]],
    ['a whiteout of .. in a directory', [[{ path: 'a/', type: 'dir' }], [{ path: 'a/.wh...' }]]],
    ['a whiteout of nothing', [[{ path: 'a' }], [{ path: '.wh.' }]]],
  ] as const)('keeps what is outside of the root file system as it is: %s', async (_, layers) => {
    await using bench = await openBench();
    const outside = join(bench.dir, 'outside');
    await mkdir(outside);
    await writeFile(join(outside, 'precious'), 'gold');
    const aimed = JSON.parse(JSON.stringify(layers).replaceAll('OUTSIDE', outside));
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: aimed } });
    const before = (await readdir(bench.dir)).sort();
    await bench.fetch(`oci:${bench.dir}/l`);
    expect((await readdir(bench.dir)).filter((name) => name !== 'rootfs').sort()).toEqual(before);
    expect(listTree(outside)).toEqual(['precious 100644 0:0 x1 gold']);
  });

  test('does not hang at a fifo where a blob should be', async () => {
    await using bench = await openBench();
    const { v1 } = await makeLayout(join(bench.dir, 'l'), { v1: { layers: [] } });
    const blob = join(bench.dir, 'l/blobs', (v1?.digest ?? '').replace(':', '/'));
    await execa('rm', [blob]);
    await execa('mkfifo', [blob]);
    expect(expectErr(await bench.fetch(`oci:${bench.dir}/l`)).type).toBe('failed');
  });

  test('may be reached through a link', async () => {
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [[{ path: 'a' }]] } });
    await symlink('l', join(bench.dir, 'link'));
    expectOk(await bench.fetch(`oci:${bench.dir}/link:v1`));
    expect(listTree(bench.rootfs)).toHaveLength(1);
  });
});
