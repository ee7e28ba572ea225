import { mkdir, readdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { collectLog, expectErr, expectOk, needs, startRegistry, tmpfsVolume } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { type Bench, directoryVolumes, image, openBench, quiet } from './fixtures.ts';
import { HELLO, makeLayout } from './make-image.ts';

needs(
  'root',
  'skopeo',
  'umoci',
  'docker-registry',
)('a pull that is aborted', () => {
  test('kills skopeo, settles as cancelled, and leaves nothing', async () => {
    await using registry = await startRegistry();
    await using bench = await openBench({ insecureRegistries: [registry.host] });
    await makeLayout(join(bench.dir, 'l'), { v1: HELLO });
    await registry.push(`oci:${bench.dir}/l:v1`, 'slow:1');
    const pinned = expectOk(await bench.fetcher.pin(image(`${registry.host}/slow:1`), quiet()));
    const controller = new AbortController();
    const log = { write: async () => controller.abort(new Error('enough')) };
    const io = { log, signal: controller.signal };
    const error = expectErr(await bench.fetcher.unpack(pinned, directoryVolumes(bench.rootfs), io));
    expect(error).toMatchObject({ type: 'cancelled', reason: new Error('enough') });
    await expectQuiet(bench.dir);
  });

  test('in the middle of a download kills skopeo', async () => {
    await using stalled = await startStalledRegistry();
    await using bench = await openBench({ insecureRegistries: [stalled.host] });
    const controller = new AbortController();
    const pinning = bench.fetcher.pin(image(`${stalled.host}/x:1`), controller.signal);
    await stalled.asked;
    controller.abort(new Error('enough'));
    expect(expectErr(await pinning)).toMatchObject({ type: 'cancelled' });
    await expectQuiet(bench.dir);
  });

  test('in the middle of unpacking kills umoci, and the mount it had is gone', async () => {
    await using bench = await openBench();
    const controller = new AbortController();
    const unpacking = await startUnpacking(bench, controller.signal);
    controller.abort(new Error('enough'));
    expect(expectErr(await unpacking.result)).toMatchObject({ type: 'cancelled' });
    await expectQuiet(bench.dir);
  });
});

needs('root', 'umoci')('an image that is being unpacked', () => {
  test('keeps no disk busy that is unmounted meanwhile, where mounts are shared as systemd makes them', async () => {
    await using bench = await openBench();
    await using outer = await tmpfsVolume({ sizeMiB: 10 });
    await execa('mount', ['--make-shared', outer.path]);
    const disk = join(outer.path, 'disk');
    await mkdir(disk);
    await execa('mount', ['-t', 'tmpfs', 'snapstep-test', disk]);
    const controller = new AbortController();
    const unpacking = await startUnpacking(bench, controller.signal);
    await execa('umount', [disk]);
    const script = 'grep -lsF -- "$1" /proc/[0-9]*/mountinfo';
    const { stdout } = await execa('sh', ['-c', script, 'sh', disk], { reject: false });
    controller.abort(new Error('enough'));
    expect(expectErr(await unpacking.result)).toMatchObject({ type: 'cancelled' });
    expect(stdout).toBe('');
  });
});

/** Until the first of many files is there. */
async function startUnpacking(
  { dir, rootfs, fetcher }: Bench,
  signal: AbortSignal,
): Promise<{ readonly result: ReturnType<Bench['fetcher']['unpack']> }> {
  const big = Array.from({ length: 20_000 }, (_, i) => ({ path: `d${i % 100}/f${i}`, content: 'x' }));
  await makeLayout(join(dir, 'l'), { v1: { layers: [big] } });
  const pinned = expectOk(await fetcher.pin(image(`oci:${dir}/l:v1`), quiet()));
  const result = fetcher.unpack(pinned, directoryVolumes(rootfs), { log: collectLog(), signal });
  while ((await readdir(rootfs)).length === 0) await new Promise(setImmediate);
  return { result };
}

/** No program works below the directory, nothing is mounted there, and no pull is left. */
async function expectQuiet(dir: string): Promise<void> {
  const { stdout } = await execa('ps', ['-eo', 'args']);
  expect(stdout.split('\n').filter((line) => line.includes(dir))).toEqual([]);
  expect(await readFile('/proc/self/mounts', 'utf8')).not.toContain(dir);
  const [area = ''] = await readdir(join(dir, 'state/tmp'));
  const left = await readdir(join(dir, 'state/tmp', area));
  expect(left.filter((name) => name.startsWith('pull-'))).toEqual([]);
}

/** Takes connections and never answers. */
async function startStalledRegistry(): Promise<AsyncDisposable & { host: string; asked: Promise<unknown> }> {
  const server = createServer().listen(0, '127.0.0.1');
  const sockets = new Set<{ destroy(): unknown }>();
  server.on('connection', (socket) => sockets.add(socket.on('error', () => undefined)));
  const asked = new Promise((resolve) => server.once('connection', resolve));
  await new Promise((resolve) => server.once('listening', resolve));
  const address = server.address();
  return {
    host: `127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    asked,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
