import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { expectErr, expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { openOciFetcher } from '../src/index.ts';
import { directoryVolumes, image, openBench, quiet } from './fixtures.ts';
import { makeLayout, readBlobJson } from './make-image.ts';

const LAYER = [{ path: 'a', content: 'x' }];

needs(
  'root',
  'skopeo',
  'umoci',
)('an image', () => {
  test('has no more layers than the limit, and each of them is unpacked up to it', async () => {
    await using bench = await openBench({ limits: { layers: 3 } });
    await makeLayout(join(bench.dir, 'l'), {
      few: { layers: [LAYER, LAYER, LAYER] },
      many: { layers: [LAYER, LAYER, LAYER, LAYER] },
    });
    expectOk(await bench.fetch(`oci:${bench.dir}/l:few`));
    await rm(bench.rootfs, { recursive: true });
    expect(expectErr(await bench.fetch(`oci:${bench.dir}/l:many`))).toMatchObject({
      type: 'failed',
      message: expect.stringMatching(/it has 4 layers, more than the limit of 3$/),
    });
  });

  test('has no more bytes in its layers than the limit', async () => {
    await using bench = await openBench({ limits: { bytes: 100 } });
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [LAYER, LAYER] } });
    expect(expectErr(await bench.fetch(`oci:${bench.dir}/l:v1`))).toMatchObject({
      message: expect.stringMatching(/its layers have \d+ bytes, more than the limit of 100$/),
    });
  });

  test.each<readonly [what: string, put: (blob: string) => Promise<unknown>, message: RegExp]>([
    ['a pipe', (blob) => execa('mkfifo', [blob]), /is not a file$/],
    ['a directory', (blob) => mkdir(blob), /is not a file$/],
    ['a link to a device', (blob) => execa('ln', ['-s', '/dev/zero', blob]), /is not a file$/],
    ['an endless file', (blob) => endless(blob), /has 8000000000000 bytes, and not \d+$/],
    ['nothing', async () => {}, /cannot be read: ENOENT/],
  ])('in a layout with %s in the place of a layer is refused at once', async (_, put, message) => {
    await using bench = await openBench();
    const layout = join(bench.dir, 'l');
    const { v1 } = await makeLayout(layout, { v1: { layers: [LAYER] } });
    const { layers } = await readBlobJson(layout, v1?.digest ?? '');
    const blob = join(layout, 'blobs', layers[0]?.digest.replace(':', '/') ?? '');
    await rm(blob);
    await put(blob);
    const start = performance.now();
    expect(expectErr(await bench.fetch(`oci:${layout}:v1`))).toMatchObject({
      message: expect.stringMatching(message),
    });
    expect(performance.now() - start).toBeLessThan(10_000);
    expect(await readdir(bench.rootfs).catch(() => [])).toEqual([]);
  });

  test('of a registry that sends a layer without an end is given up at the limit', async () => {
    await using bench = await openBench();
    await using registry = await serveLayer(join(bench.dir, 'l'), (response) => {
      const sending = setInterval(() => response.write(randomBytes(100_000)), 10);
      response.once('close', () => clearInterval(sending));
    });
    await using fetching = await openBench({
      limits: { bytes: 3_000_000 },
      insecureRegistries: [registry.host],
    });
    expect(expectErr(await fetching.fetch(`${registry.host}/endless:v1`))).toMatchObject({
      type: 'failed',
      message: expect.stringMatching(/endless:v1: it is larger than the limit of 3000000 bytes$/),
    });
    const left = await readdir(join(fetching.dir, 'state/tmp'), { recursive: true });
    expect(left.filter((path) => path.includes('layout'))).toEqual([]);
  });

  test('of a registry that sends next to nothing is given up when its time is over', async () => {
    await using bench = await openBench();
    await using registry = await serveLayer(join(bench.dir, 'l'), (response) => void response.write('x'));
    await using fetching = await openBench({
      limits: { milliseconds: 1500 },
      insecureRegistries: [registry.host],
    });
    const start = performance.now();
    expect(expectErr(await fetching.fetch(`${registry.host}/slow:v1`))).toMatchObject({
      type: 'failed',
      message: expect.stringMatching(/took longer than the limit of 1500 ms$/),
    });
    expect(performance.now() - start).toBeGreaterThan(1400);
  });

  test('that is stopped before its time is over is cancelled, and not too late', async () => {
    await using bench = await openBench();
    await using registry = await serveLayer(join(bench.dir, 'l'), (response) => void response.write('x'));
    await using fetching = await openBench({ insecureRegistries: [registry.host] });
    const pinned = expectOk(await fetching.fetcher.pin(image(`${registry.host}/slow:v1`), quiet()));
    const io = { log: { write: async () => {} }, signal: AbortSignal.timeout(500) };
    const unpacked = await fetching.fetcher.unpack(pinned, directoryVolumes(fetching.rootfs), io);
    expect(expectErr(unpacked).type).toBe('cancelled');
  });
});

test('limits of images are above zero', async () => {
  for (const layers of [0, -1, Number.NaN]) {
    await expect(openOciFetcher({ stateDir: '/nowhere' as never, limits: { layers } })).rejects.toThrow(
      RangeError,
    );
  }
});

/** A sparse file: nobody would wait for the end of it. */
async function endless(path: string): Promise<void> {
  await writeFile(path, '');
  await truncate(path, 8_000_000_000_000);
}

/** A registry with an image whose one layer is sent by `send`. */
async function serveLayer(
  layout: string,
  send: (response: ServerResponse) => void,
): Promise<AsyncDisposable & { readonly host: string }> {
  const { v1 } = await makeLayout(layout, { v1: { layers: [LAYER] } });
  const { config, layers } = await readBlobJson(layout, v1?.digest ?? '');
  const blob = (digest: string): Promise<Buffer> => readFile(join(layout, 'blobs', digest.replace(':', '/')));
  const [manifest, configuration] = await Promise.all([blob(v1?.digest ?? ''), blob(config.digest)]);
  const server = createServer(({ url = '' }, response) => {
    if (url.includes('/manifests/')) {
      response.setHeader('Content-Type', v1?.mediaType ?? '');
      response.setHeader('Docker-Content-Digest', v1?.digest ?? '');
      response.end(manifest);
    } else if (url.endsWith(config.digest)) response.end(configuration);
    else if (url.endsWith(layers[0]?.digest ?? '?')) send(response);
    else response.end('{}');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return {
    host: `127.0.0.1:${port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
