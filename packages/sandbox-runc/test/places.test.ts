import { mkdir, readdir, rm, symlink, unlink } from 'node:fs/promises';
import { join } from 'node:path';
import { expectErr } from '@snapstep/test-support';
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import { type Bench, openBench, tracesOf, volumeAt, withEachRuntime } from './steps.ts';

withEachRuntime('a place', (runtime) => {
  let bench: Bench;
  let cache: string;
  const links: string[] = [];
  const path = (inside: string): string => join(bench.rootfs, inside);
  const secret = (target: string) => ({ target, value: Buffer.from('hunter2') });
  const mount = (target: string) => ({ volume: volumeAt(cache), target });
  const link = async (to: string, from: string): Promise<void> => {
    await symlink(to, path(from));
    links.push(path(from));
  };

  beforeAll(async () => {
    bench = await openBench({ runtime });
  });
  afterAll(() => bench[Symbol.asyncDispose]());
  beforeEach(async () => {
    cache = join(bench.dir, 'cache');
    await mkdir(cache);
  });
  afterEach(async () => {
    for (const each of links.splice(0)) await unlink(each);
    await rm(cache, { recursive: true });
    for (const own of ['proc', 'sys', 'dev']) expect(await readdir(path(own))).toEqual([]);
    expect(await tracesOf(bench.stateDir)).toEqual([]);
  });

  it.each([
    ['/dev', '/p'],
    ['/proc', '/p'],
    ['/sys', '/p'],
    ['/', '/p'],
    ['/dev', '/p/fd'],
    ['dev/../dev', '/p/stdin/x'],
    ['/proc', '/p/self/x'],
    ['/sys', '/p/kernel/x'],
  ])('is refused for a cache where a link to %s makes %s of it (C4, C5)', async (to, target) => {
    await link(to, 'p');
    const { result } = await bench.run('true', { mounts: [mount(target)] });
    expect(expectErr(result)).toMatchObject({ type: 'failed', message: expect.stringContaining(target) });
  });

  it.each(['/dev/fd', '/dev/fd/7', '/dev/stdin', '/dev/null', '/dev/pts/0', '/sys', '/sys/x', '/proc/1'])(
    'is refused at %s, for a secret and for a cache (C5)',
    async (target) => {
      for (const request of [{ secrets: [secret(target)] }, { mounts: [mount(target)] }]) {
        const { result } = await bench.run('true', request);
        expect(expectErr(result)).toMatchObject({ type: 'failed', message: expect.stringContaining(target) });
      }
    },
  );

  it.each(['/dev/fd', '/dev/fd/7', '/dev/stdin', '/sys', '/p', '/q/fd/7', '/q/fd/../fd/8', '/r/self/fd/7'])(
    'is never a working directory at %s (C3)',
    async (cwd) => {
      await link('/dev/fd', 'p');
      await link('/dev', 'q');
      await link('/proc', 'r');
      const { result } = await bench.run('ls', { cwd });
      expect(expectErr(result)).toMatchObject({ type: 'failed', message: expect.stringContaining(cwd) });
    },
  );

  it("is a working directory in the container's /dev without leaving anything in that of the image", async () => {
    expect(await bench.outputOf('pwd', { cwd: '/dev/shm' })).toBe('/dev/shm\n');
    await link('/dev', 'p');
    expect(await bench.outputOf('pwd', { cwd: '/p/shm' })).toBe('/dev/shm\n');
  });

  it('lies in a cache that is mounted below /dev, and no link of that is followed (C2)', async () => {
    await symlink('/etc', join(cache, 'link'));
    const secrets = [secret('/dev/foo/in/s')];
    expect(await bench.outputOf('cat /dev/foo/in/s', { mounts: [mount('/dev/foo')], secrets })).toBe(
      'hunter2',
    );
    expect(await readdir(cache)).toEqual(['link']);
    for (const request of [{ secrets: [secret('/dev/foo/link/s')] }, { cwd: '/dev/foo/link' }]) {
      const { result } = await bench.run('true', { mounts: [mount('/dev/foo')], ...request });
      expect(expectErr(result)).toMatchObject({ message: expect.stringContaining('symbolic link') });
    }
  });

  it('is where a link leads, also into a cache that is named later', async () => {
    await link('/z', 'b');
    const request = { mounts: [mount('/z')], secrets: [secret('/b/secret')] };
    expect(await bench.outputOf('cat /z/secret', request)).toBe('hunter2');
    expect(await readdir(cache)).toEqual([]);
    expect(await bench.outputOf('pwd', { ...request, cwd: '/b/made' })).toBe('/z/made\n');
    expect(await readdir(cache)).toEqual(['made']);
  });

  it('is no door to the host where a link leads into a cache with a link (C3)', async () => {
    await link('/z/x', 'b');
    await symlink('/proc/self/fd/7', join(cache, 'x'));
    const { result } = await bench.run('ls', { mounts: [mount('/z')], cwd: '/b' });
    expect(expectErr(result)).toMatchObject({ message: expect.stringContaining('symbolic link') });
  });

  it('is refused where it would hide another one', async () => {
    await link('/z', 'b');
    const inner = join(cache, 'inner');
    await mkdir(inner);
    const { result } = await bench.run('true', {
      mounts: [{ volume: volumeAt(inner), target: '/b/inner' }, mount('/z')],
    });
    expect(expectErr(result)).toMatchObject({ message: expect.stringContaining('/z/inner') });
  });

  it('of a file of ours stays as the image has it where that is a link to a device', async () => {
    await rm(path('etc/resolv.conf'), { force: true });
    await link('/dev/null', 'etc/resolv.conf');
    await link('/proc/version', 'etc/hosts');
    const output = await bench.outputOf('cat /etc/resolv.conf; head -c5 /etc/hosts', { network: 'host' });
    expect(output).toBe('Linux');
  });
});
