import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import {
  collectLog,
  expectErr,
  expectOk,
  freePort,
  needs,
  type Registry,
  startRegistry,
} from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { directoryVolumes, image, listTree, openBench, quiet, withoutPrograms } from './fixtures.ts';
import { HELLO, makeLayout, readBlobJson } from './make-image.ts';

needs(
  'root',
  'skopeo',
  'umoci',
  'docker-registry',
)('a registry', () => {
  let registry: Registry;
  beforeAll(async () => {
    registry = await startRegistry();
  });
  afterAll(async () => registry[Symbol.asyncDispose]());

  const open = () => openBench({ insecureRegistries: [registry.host] });

  test('gives an image over plain HTTP, with a line in the log for each layer', async () => {
    await using bench = await open();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'hello:1');
    const log = collectLog();
    const config = expectOk(await bench.fetch(`${registry.host}/hello:1`, { log }));
    expect(config).toEqual({ env: { A: '1' }, cwd: '/w', user: { uid: 5, gid: 6 } });
    expect(listTree(bench.rootfs)).toEqual(['hello 100644 0:0 x1 hello', 'world 100644 70000:0 x1 world']);
    expect(log.text().match(/^ {2}layer [0-9a-f]{12} 0\.00 MB after \d+\.\d s$/gm)).toHaveLength(2);
    expect(log.text()).toMatch(/^Pulling docker:\/\/127\.0\.0\.1:\d+\/hello@sha256:[0-9a-f]{64}\n/);
  });

  test('is asked for the manifest alone when an image is pinned', async () => {
    await using bench = await open();
    const { v1 } = await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'pinned:1', ['--preserve-digests']);
    const layers = (await readBlobJson(join(bench.dir, 'l'), v1?.digest ?? '')).layers;
    for (const { digest } of layers) await execa('rm', ['-r', dataOf(registry, digest)]);
    const name = `docker://${registry.host}/pinned:1`;
    const pinned = expectOk(await bench.fetcher.pin(image(name), quiet()));
    expect(pinned).toEqual({ ...image(name), digest: v1?.digest });
    expect(expectErr(await bench.fetch(name)).type).toMatch(/failed|image-not-found/);
  });

  test('is not asked again about a digest, by another fetcher either', async () => {
    await using bench = await open();
    const { v1 } = await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'digest:1', ['--preserve-digests']);
    const name = `${registry.host}/digest:ignored@${v1?.digest}`;
    expectOk(await bench.fetcher.pin(image(name), quiet()));
    await bench.fetcher[Symbol.asyncDispose]();
    await using second = await openBench({ stateDir: toHostPath(join(bench.dir, 'state')) });
    const pinned = await withoutPrograms(async () => second.fetcher.pin(image(name), quiet()));
    expect(expectOk(pinned).digest).toBe(v1?.digest);
  });

  test('is not asked again about a tag for a short time', async () => {
    await using bench = await openBench({ insecureRegistries: [registry.host], tagTtlMilliseconds: 60_000 });
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'tag:1');
    const name = image(`${registry.host}/tag:1`);
    const first = expectOk(await bench.fetcher.pin(name, quiet()));
    expect(expectOk(await withoutPrograms(async () => bench.fetcher.pin(name, quiet())))).toEqual(first);
    const other = await withoutPrograms(async () =>
      bench.fetcher.pin({ ...name, platform: 'linux/arm64' }, quiet()),
    );
    expect(expectErr(other)).toMatchObject({ message: expect.stringContaining('"skopeo" is not installed') });
  });

  test('gives what was pinned although the tag was moved', async () => {
    await using bench = await open();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO, v2: { layers: [[{ path: 'other' }]] } });
    await registry.push(`oci:${bench.dir}/l:v1`, 'moved:1');
    const pinned = expectOk(await bench.fetcher.pin(image(`${registry.host}/moved:1`), quiet()));
    await registry.push(`oci:${bench.dir}/l:v2`, 'moved:1');
    const io = { log: collectLog(), signal: quiet() };
    expectOk(await bench.fetcher.unpack(pinned, directoryVolumes(bench.rootfs), io));
    expect(await readdir(bench.rootfs)).toContain('hello');
    const again = expectOk(await bench.fetcher.pin(image(`${registry.host}/moved:1`), quiet()));
    expect(again.digest).not.toBe(pinned.digest);
  });

  test('no longer having what was pinned is "image-not-found"', async () => {
    await using bench = await open();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'lost:1');
    const pinned = expectOk(await bench.fetcher.pin(image(`${registry.host}/lost:1`), quiet()));
    const gone = { ...pinned, digest: `sha256:${'0'.repeat(64)}` };
    const io = { log: collectLog(), signal: quiet() };
    expect(expectErr(await bench.fetcher.unpack(gone, directoryVolumes(bench.rootfs), io))).toMatchObject({
      type: 'image-not-found',
      message: expect.stringContaining('no longer has sha256:000'),
    });
  });

  test('gives the platform of a multi-platform image, and lists them where it is missing', async () => {
    await using bench = await open();
    const make = (platform: string) => ({ platform, layers: [[{ path: 'is', content: platform }]] });
    await makeLayout(join(bench.dir, 'l'), { v1: ['linux/amd64', 'linux/arm/v5', 'linux/arm64'].map(make) });
    await registry.push(`oci:${bench.dir}/l:v1`, 'multi:1', ['--all']);
    const name = `${registry.host}/multi:1`;
    expectOk(await bench.fetch(name, { platform: 'linux/arm/v7' }));
    expect(await readFile(join(bench.rootfs, 'is'), 'utf8')).toBe('linux/arm/v5');
    expect(expectErr(await bench.fetch(name, { platform: 'linux/riscv64' }))).toMatchObject({
      message: expect.stringMatching(
        /not made for linux\/riscv64, only for linux\/amd64, linux\/arm\/v5, linux\/arm64$/,
      ),
    });
  });

  test.each(['v2s2', 'oci'])('gives images in the format %s', async (format) => {
    await using bench = await open();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, `format-${format}:1`, ['--format', format]);
    const config = expectOk(await bench.fetch(`${registry.host}/format-${format}:1`));
    expect(config).toMatchObject({ env: { A: '1' }, user: { uid: 5, gid: 6 } });
    expect(await readdir(bench.rootfs)).toEqual(['hello', 'world']);
  });

  test('gives zstd layers', async () => {
    await using bench = await open();
    await makeLayout(join(bench.dir, 'l'), { v1: { ...HELLO, compression: 'zstd' } });
    await registry.push(`oci:${bench.dir}/l:v1`, 'zstd:1');
    expectOk(await bench.fetch(`${registry.host}/zstd:1`));
    expect(await readdir(bench.rootfs)).toEqual(['hello', 'world']);
  });

  test('answers with "image-not-found" for an unknown name and an unknown tag', async () => {
    await using bench = await open();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'known:1');
    for (const name of [`${registry.host}/unknown:1`, `${registry.host}/known:2`]) {
      expect(expectErr(await bench.fetch(name))).toMatchObject({
        type: 'image-not-found',
        image: image(name),
      });
    }
  });

  test('that sends damaged bytes is refused, and nothing is unpacked', async () => {
    await using bench = await open();
    const { v1 } = await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'damaged:1', ['--preserve-digests']);
    const { layers } = await readBlobJson(join(bench.dir, 'l'), v1?.digest ?? '');
    const file = join(dataOf(registry, layers[1]?.digest ?? ''), 'data');
    const bytes = await readFile(file);
    await writeFile(file, Buffer.concat([bytes.subarray(0, -1), Buffer.from([(bytes.at(-1) ?? 0) ^ 1])]));
    expect(expectErr(await bench.fetch(`${registry.host}/damaged:1`))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining('sent other bytes than it promised'),
    });
    expect(await readdir(bench.rootfs)).toEqual([]);
    await writeFile(file, bytes);
  });

  test('over plain HTTP is refused unless it is listed as insecure', async () => {
    await using bench = await openBench();
    expect(expectErr(await bench.fetch(`${registry.host}/hello:1`))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining(`list "${registry.host}" as an insecure registry`),
    });
  });

  test('that nobody runs is said to be out of reach', async () => {
    const host = `127.0.0.1:${await freePort()}`;
    await using bench = await openBench({ insecureRegistries: [host] });
    expect(expectErr(await bench.fetch(`${host}/x:1`))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining(`cannot reach the registry ${host}`),
    });
  });

  test('leaves no temporary files behind, whether a pull succeeds or fails', async () => {
    await using bench = await open();
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'tidy:1');
    expectOk(await bench.fetch(`${registry.host}/tidy:1`));
    await bench.fetch(`${registry.host}/none:1`);
    const [area = ''] = await readdir(join(bench.dir, 'state/tmp'));
    const left = await readdir(join(bench.dir, 'state/tmp', area));
    expect(left.filter((name) => name.startsWith('pull-'))).toEqual([]);
  });
});

function dataOf(registry: Registry, digest: string): string {
  const hex = digest.slice('sha256:'.length);
  return join(registry.storage, 'docker/registry/v2/blobs/sha256', hex.slice(0, 2), hex);
}
