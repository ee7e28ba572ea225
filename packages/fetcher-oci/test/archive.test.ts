import { readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { collectLog, expectErr, expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { bytesRead, directoryVolumes, image, listTree, openBench, quiet } from './fixtures.ts';
import { type ImageSpec, makeLayout } from './make-image.ts';

const HELLO: ImageSpec = {
  layers: [
    [{ path: 'a', content: '1' }, { path: 'b' }],
    [{ path: '.wh.b' }, { path: 'c', uid: 70000 }],
  ],
  config: { Env: ['A=1'] },
};

needs(
  'root',
  'skopeo',
  'umoci',
)('an archive', () => {
  test.each([
    ['oci-archive', ':v1'],
    ['oci-archive', ''],
    ['docker-archive', ':example.com/hello:v1'],
    ['docker-archive', ''],
  ])('of the kind %s with the tag "%s" is unpacked', async (kind, tag) => {
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    const place = `${kind}:${bench.dir}/image.tar`;
    const name = kind === 'oci-archive' ? ':v1' : ':example.com/hello:v1';
    await execa('skopeo', ['copy', '-q', `oci:${bench.dir}/l:v1`, `${place}${name}`]);
    expect(expectOk(await bench.fetch(`${place}${tag}`))).toEqual({ env: { A: '1' } });
    expect(listTree(bench.rootfs)).toEqual(['a 100644 0:0 x1 1', 'c 100644 70000:0 x1']);
    await expectTidy(bench.dir);
  });

  test.each(['oci-archive', 'docker-archive'])(
    'of the kind %s without the tag is "image-not-found"',
    async (kind) => {
      await using bench = await openBench();
      await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
      const place = `${kind}:${bench.dir}/image.tar`;
      await execa('skopeo', ['copy', '-q', `oci:${bench.dir}/l:v1`, `${place}:hello:v1`]);
      expect(expectErr(await bench.fetch(`${place}:other:v2`))).toMatchObject({ type: 'image-not-found' });
      expect(expectErr(await bench.fetch(`${kind}:${bench.dir}/none.tar`))).toMatchObject({
        type: 'image-not-found',
      });
    },
  );

  test('gives the platform that is asked for', async () => {
    await using bench = await openBench();
    const make = (platform: string) => ({ platform, layers: [[{ path: 'is', content: platform }]] });
    await makeLayout(join(bench.dir, 'l'), { v1: ['linux/amd64', 'linux/arm64'].map(make) });
    await execa('tar', ['-cf', join(bench.dir, 'image.tar'), '-C', join(bench.dir, 'l'), '.']);
    expectOk(await bench.fetch(`oci-archive:${bench.dir}/image.tar:v1`, { platform: 'linux/arm64' }));
    expect(await readFile(join(bench.rootfs, 'is'), 'utf8')).toBe('linux/arm64');
  });

  test('that is no archive is refused, and so is a directory', async () => {
    await using bench = await openBench();
    await writeFile(join(bench.dir, 'image.tar'), 'nonsense');
    for (const name of [`oci-archive:${bench.dir}/image.tar`, `docker-archive:${bench.dir}`]) {
      expect(expectErr(await bench.fetch(name))).toMatchObject({ type: 'failed' });
    }
    await expectTidy(bench.dir);
  });

  test('is read once for its digest, and again when it was written to (K7)', async () => {
    await using bench = await openBench();
    const file = join(bench.dir, 'image.tar');
    const size = 8 * 1024 * 1024;
    await writeFile(file, Buffer.alloc(size, 'a'));
    await setTimeout(150);
    const digest = async () =>
      expectOk(await bench.fetcher.pin(image(`oci-archive:${file}`), quiet())).digest;
    const first = await bytesRead(digest);
    expect(first.bytes).toBeGreaterThan(size);
    const second = await bytesRead(digest);
    expect(second.value).toBe(first.value);
    expect(second.bytes).toBeLessThan(size / 8);
    await writeFile(file, Buffer.alloc(size, 'b'));
    await utimes(file, 1, 1);
    expect(await digest()).not.toBe(first.value);
  });

  test('that was changed since it was pinned is refused', async () => {
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO, v2: { layers: [[{ path: 'other' }]] } });
    const file = join(bench.dir, 'image.tar');
    await execa('skopeo', ['copy', '-q', `oci:${bench.dir}/l:v1`, `oci-archive:${file}:v`]);
    const pinned = expectOk(await bench.fetcher.pin(image(`oci-archive:${file}`), quiet()));
    await rm(file);
    await execa('skopeo', ['copy', '-q', `oci:${bench.dir}/l:v2`, `oci-archive:${file}:v`]);
    const io = { log: collectLog(), signal: quiet() };
    expect(expectErr(await bench.fetcher.unpack(pinned, directoryVolumes(bench.rootfs), io))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('was changed since it was pinned'),
    });
    expect(await readdir(bench.rootfs)).toEqual([]);
  });
});

async function expectTidy(dir: string): Promise<void> {
  const [area = ''] = await readdir(join(dir, 'state/tmp'));
  const left = await readdir(join(dir, 'state/tmp', area));
  expect(left.filter((name) => name.startsWith('pull-'))).toEqual([]);
}
