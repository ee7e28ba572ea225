import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { busyboxRootfs, collectLog, expectErr, expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, test } from 'vitest';
import { listTree, openBench } from './fixtures.ts';
import { makeLayout } from './make-image.ts';

const PASSWD = 'root:x:0:0::/root:/bin/sh\nbuilder:x:1000:1001::/home/builder:/bin/sh\n';
const ACCOUNTS = [
  { path: 'etc/', type: 'dir' },
  { path: 'etc/passwd', content: PASSWD },
  { path: 'etc/group', content: 'root:x:0:\nstaff:x:50:\n' },
] as const;

needs(
  'root',
  'skopeo',
  'umoci',
)('an OCI layout', () => {
  test('unpacks layers: whiteouts, opaque directories, links, devices, modes and owners', async () => {
    await using bench = await openBench();
    const layers = [
      [
        { path: './', type: 'dir', mode: 0o711 },
        { path: 'gone', content: 'x' },
        { path: 'dir/', type: 'dir', mode: 0o2750, uid: 70000, gid: 70001 },
        { path: 'dir/old', content: 'old' },
        { path: 'dir/sub/', type: 'dir' },
        { path: 'dir/sub/older', content: 'older' },
        { path: 'lib', type: 'symlink', link: 'usr/lib' },
        { path: 'one', content: 'same', mode: 0o4755 },
        { path: 'two', type: 'hardlink', link: 'one' },
        { path: 'null', type: 'char', device: [1, 3], mode: 0o666 },
        { path: 'pipe', type: 'fifo', mode: 0o600, uid: 70000 },
      ],
      [
        { path: '.wh.gone' },
        { path: 'dir/', type: 'dir', mode: 0o2750, uid: 70000, gid: 70001 },
        { path: 'dir/.wh..wh..opq' },
        { path: 'dir/new', content: 'new' },
        { path: 'lib/', type: 'dir' },
        { path: 'lib/a', content: 'a' },
      ],
    ] as const;
    await makeLayout(join(bench.dir, 'l'), { v1: { layers } });
    expectOk(await bench.fetch(`oci:${bench.dir}/l:v1`));
    expect(listTree(bench.rootfs)).toEqual([
      'dir 42750 70000:70001',
      'dir/new 100644 0:0 x1 new',
      'lib 40755 0:0',
      'lib/a 100644 0:0 x1 a',
      'null 20666 0:0 x1 1,3',
      'one 104755 0:0 x2 same',
      'pipe 10600 70000:0 x1',
      'two 104755 0:0 x2 same',
    ]);
    expect((await execa('stat', ['-c', '%a', bench.rootfs])).stdout).toBe('711');
  });

  test('applies a layer whose members come in an unusual order, and links to older layers', async () => {
    await using bench = await openBench();
    const layers = [
      [
        { path: 'dir/', type: 'dir' },
        { path: 'dir/old', content: 'old' },
        { path: 'file', content: 'file' },
        { path: 'was-dir/', type: 'dir' },
        { path: 'was-dir/x' },
        { path: 'was-file' },
      ],
      [
        { path: 'dir/new', content: 'new' },
        { path: 'dir/.wh..wh..opq' },
        { path: 'dir/', type: 'dir', mode: 0o700 },
        { path: 'linked', type: 'hardlink', link: 'file' },
        { path: 'was-dir', content: 'file' },
        { path: 'was-file/', type: 'dir' },
      ],
    ] as const;
    await makeLayout(join(bench.dir, 'l'), { v1: { layers } });
    expectOk(await bench.fetch(`oci:${bench.dir}/l:v1`));
    expect(listTree(bench.rootfs)).toEqual([
      'dir 40700 0:0',
      'dir/new 100644 0:0 x1 new',
      'file 100644 0:0 x2 file',
      'linked 100644 0:0 x2 file',
      'was-dir 100644 0:0 x1 file',
      'was-file 40755 0:0',
    ]);
  });

  test('keeps extended attributes, file capabilities among them', async () => {
    await using bench = await openBench();
    const capability = '\x01\x00\x00\x02\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00';
    const xattrs = { 'user.note': 'kept', 'security.capability': capability };
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [[{ path: 'ping', xattrs }]] } });
    expectOk(await bench.fetch(`oci:${bench.dir}/l:v1`));
    const options = ['--xattrs', '--xattrs-include=*', '-cC', bench.rootfs, 'ping'];
    const { stdout } = await execa('tar', options, { encoding: 'latin1' });
    expect(stdout).toContain('SCHILY.xattr.user.note=kept\n');
    expect(stdout).toContain(`SCHILY.xattr.security.capability=${capability}\n`);
  });

  test('gives the same files and modes whatever our umask is (R20)', async () => {
    await using bench = await openBench();
    const members = [
      { path: 'a/b/c', mode: 0o666 },
      { path: 'd/', type: 'dir', mode: 0o777 },
    ] as const;
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [members] } });
    const before = process.umask(0o077);
    try {
      expectOk(await bench.fetch(`oci:${bench.dir}/l:v1`));
    } finally {
      process.umask(before);
    }
    expect(listTree(bench.rootfs)).toEqual([
      'a 40755 0:0',
      'a/b 40755 0:0',
      'a/b/c 100666 0:0 x1',
      'd 40777 0:0',
    ]);
  });

  test('unpacks what umoci itself made of a busybox root file system, and leaves nothing extra', async () => {
    await using bench = await openBench();
    const umoci = (...args: string[]) => execa('umoci', args, { cwd: bench.dir });
    await umoci('init', '--layout', 'l');
    await umoci('new', '--image', 'l:v1');
    await umoci('unpack', '--image', 'l:v1', 'bundle');
    const made = join(bench.dir, 'bundle/rootfs');
    await busyboxRootfs(made);
    await umoci('repack', '--image', 'l:v1', 'bundle');
    await umoci('config', '--image', 'l:v1', '--config.env', 'PATH=/bin', '--config.user', 'builder');
    const config = expectOk(await bench.fetch(`oci:${bench.dir}/l:v1`));
    expect(listTree(bench.rootfs)).toEqual(listTree(made));
    expect(config).toEqual({ env: { PATH: '/bin' }, user: { uid: 1000, gid: 1000 } });
  });

  test.each([
    [undefined, undefined],
    ['', undefined],
    ['1000', { uid: 1000, gid: 1001 }],
    ['70000', { uid: 70000, gid: 0 }],
    ['4294967294:5', { uid: 4294967294, gid: 5 }],
    ['builder', { uid: 1000, gid: 1001 }],
    ['builder:staff', { uid: 1000, gid: 50 }],
    [':staff', { uid: 0, gid: 50 }],
    ['7:staff', { uid: 7, gid: 50 }],
  ])('reads user %j as %j', async (User, expected) => {
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [ACCOUNTS], config: { User } } });
    expect(expectOk(await bench.fetch(`oci:${bench.dir}/l`)).user).toEqual(expected);
  });

  test.each(['nobody', 'builder:nobody', '4294967295', '-1', '../x'])('refuses the user %j', async (User) => {
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [ACCOUNTS], config: { User } } });
    expect(expectErr(await bench.fetch(`oci:${bench.dir}/l`))).toMatchObject({
      type: 'failed',
      message: expect.stringMatching(/wants to run as (user|group) "/),
    });
  });

  test('looks users up in the image, never on the host, whatever links it has', async () => {
    await using bench = await openBench();
    const outside = join(bench.dir, 'outside');
    await writeFile(outside, 'builder:x:666:666:::\n');
    const members = [{ path: 'etc/passwd', type: 'symlink', link: outside }] as const;
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [members], config: { User: 'builder' } } });
    expect(expectErr(await bench.fetch(`oci:${bench.dir}/l`))).toMatchObject({ type: 'failed' });
  });

  test('gives environment and working directory, with 20,000 variables too', async () => {
    await using bench = await openBench();
    const many = Array.from({ length: 20_000 }, (_, i) => `N${i}=${'v'.repeat(100)}`);
    const Env = ['A=1', 'B=x=y', 'A=2', 'EMPTY=', '=bad', 'bad', '__proto__=p', ...many];
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [], config: { Env, WorkingDir: '/work' } } });
    const config = expectOk(await bench.fetch(`oci:${bench.dir}/l`));
    expect(Object.keys(config.env)).toHaveLength(20_004);
    expect(config.env).toMatchObject({ A: '2', B: 'x=y', EMPTY: '', N19999: 'v'.repeat(100) });
    expect(Object.getOwnPropertyDescriptor(config.env, '__proto__')?.value).toBe('p');
    expect(config.cwd).toBe('/work');
  });

  test('takes the platform that is asked for, or a variant that runs there', async () => {
    await using bench = await openBench();
    const make = (platform: string) => ({ platform, layers: [[{ path: 'is', content: platform }]] });
    const all = ['linux/amd64', 'linux/arm/v6', 'linux/arm64/v8'].map(make);
    await makeLayout(join(bench.dir, 'l'), { v1: all });
    expectOk(await bench.fetch(`oci:${bench.dir}/l:v1`, { platform: 'linux/arm/v7' }));
    expect(await readFile(join(bench.rootfs, 'is'), 'utf8')).toBe('linux/arm/v6');
    expectOk(await bench.fetch(`oci:${bench.dir}/l:v1`, { platform: 'linux/arm64' }));
    expect(await readFile(join(bench.rootfs, 'is'), 'utf8')).toBe('linux/arm64/v8');
    expect(expectErr(await bench.fetch(`oci:${bench.dir}/l:v1`, { platform: 'linux/s390x' }))).toMatchObject({
      type: 'failed',
      message: expect.stringContaining(
        'not made for linux/s390x, only for linux/amd64, linux/arm/v6, linux/arm64/v8',
      ),
    });
  });

  test('warns in the log of an image that says it is for another machine', async () => {
    await using bench = await openBench();
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [], platform: 'linux/riscv64' } });
    const log = collectLog();
    expectOk(await bench.fetch(`oci:${bench.dir}/l`, { log }));
    expect(log.text()).toContain('Warning: the image says it is made for linux/riscv64, not for linux/amd64');
  });

  test.each(['zstd', 'none'] as const)('unpacks layers with compression %s', async (compression) => {
    await using bench = await openBench();
    const members = [{ path: 'a', content: 'hello', uid: 70000 }];
    await makeLayout(join(bench.dir, 'l'), { v1: { layers: [members], compression } });
    expectOk(await bench.fetch(`oci:${bench.dir}/l`));
    expect(listTree(bench.rootfs)).toEqual(['a 100644 70000:0 x1 hello']);
  });
});
