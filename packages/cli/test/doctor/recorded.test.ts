import { describe, expect, it } from 'vitest';
import { apparmor } from '../../src/doctor/checks/apparmor.ts';
import { btrfsMetadata } from '../../src/doctor/checks/btrfs.ts';
import { cgroups } from '../../src/doctor/checks/cgroups.ts';
import { overlayIndex } from '../../src/doctor/checks/overlay-index.ts';
import { holesOf, runc } from '../../src/doctor/checks/runc.ts';
import { unfinished, zfsClones, zfsMounts, zfsPool, zfsVersion } from '../../src/doctor/checks/zfs.ts';
import { isAtLeast } from '../../src/doctor/version.ts';
import { recordedScene } from './scene.ts';

describe('versions', () => {
  it.each([
    ['1.1.5+ds1', '1.1.12', false],
    ['1.1.12', '1.1.12', true],
    ['1.4.0-rc.2', '1.4.0-rc.3', false],
    ['1.4.0', '1.4.0-rc.3', true],
    ['1.0.0-rc95', '1.0.0-rc7', true],
    ['5.8', '5.8.0', true],
    ['6.1.0-18-amd64', '5.8', true],
    ['5.4.0-40-generic', '5.8', false],
    ['2.1.11-1+deb12u1', '2.1.14', false],
    ['2.10.0', '2.9.9', true],
    ['junk', '1.0', undefined],
  ])('%s is at least %s: %s', (version, floor, expected) => {
    expect(isAtLeast(version, floor)).toBe(expected);
  });
});

describe('what runc lets a container do', () => {
  it.each([
    ['1.0.0-rc6', 6],
    ['1.0.0-rc7', 5],
    ['1.0.0-rc94', 5],
    ['1.0.0-rc95', 4],
    ['1.1.5+ds1', 4],
    ['1.1.12', 3],
    ['1.1.15', 3],
    ['1.2.7', 3],
    ['1.2.8', 0],
    ['1.3.2', 3],
    ['1.3.3', 0],
    ['1.4.0-rc.2', 3],
    ['1.4.0-rc.3', 0],
    ['1.5.0', 0],
    ['of an unknown version', 6],
  ])('%s has %i known holes (C1, C2, C3, C4, C5, C6)', (version, count) => {
    expect(holesOf(version)).toHaveLength(count);
  });

  it('is only warned of, since a distribution mends without a new version (C7)', async () => {
    const machine = { platform: 'linux', sandbox: 'runc', store: 'btrfs:/data' } as const;
    const said = {
      'runc --version': 'runc version 1.1.5+ds1\ncommit: 1.1.5+ds1-1+deb12u1\nspec: 1.0.2-dev\n',
    };
    expect(await runc.look(recordedScene({ ...machine, said }))).toMatchObject({ state: 'warning' });
    expect(await runc.look(recordedScene(machine))).toMatchObject({
      state: 'problem',
      mend: 'apt-get install runc',
    });
    const crun = { 'crun --version': 'crun version 1.8.1\n' };
    expect(await runc.look(recordedScene({ ...machine, said: crun }))).toMatchObject({
      state: 'not-applicable',
    });
  });
});

describe('OpenZFS', () => {
  const version = (tools: string, module: string) =>
    zfsVersion.look(recordedScene({ said: { 'zfs version': `zfs-${tools}\nzfs-kmod-${module}\n` } }));

  it('is fine where tools and module fit', async () => {
    expect(await version('2.2.6-1', '2.2.6-1')).toEqual({ state: 'ok', found: 'OpenZFS 2.2.6-1' });
    expect(await version('2.3.1', '2.3.0')).toMatchObject({ state: 'ok' });
  });

  it('is a problem where they do not (Z3)', async () => {
    expect(await version('2.1.5-1ubuntu6', '2.2.2-0ubuntu9')).toMatchObject({
      state: 'problem',
      found: 'the tools are 2.1.5-1ubuntu6, the kernel module is 2.2.2-0ubuntu9: clones cannot be promoted',
    });
  });

  it.each([
    ['2.1.3', 'ok'],
    ['2.1.4', 'warning'],
    ['2.1.11-1+deb12u1', 'warning'],
    ['2.1.14', 'ok'],
    ['2.2.0', 'warning'],
    ['2.2.1', 'warning'],
    ['2.2.2', 'ok'],
    ['2.0.0-rc4', 'warning'],
    ['2.0.3', 'problem'],
  ])('%s: %s (Z6, Z7)', async (release, state) => {
    expect(await version(release, release)).toMatchObject({ state });
  });

  it('that is not there is a problem', async () => {
    expect(await zfsVersion.look(recordedScene({}))).toMatchObject({ state: 'problem' });
    expect(await zfsVersion.look(recordedScene({ said: { 'zfs version': 1 } }))).toMatchObject({
      state: 'problem',
    });
  });

  it('wants a pool that is well, and has a fifth of its space free (Z18)', async () => {
    const pool = (text: string | number) =>
      zfsPool.look(recordedScene({ said: { 'zpool list -Hp -o health,size,allocated tank': text } }));
    expect(await pool('ONLINE\t1000000\t800000\n')).toEqual({
      state: 'ok',
      found: 'the pool tank is ONLINE and 80 % full',
    });
    expect(await pool('ONLINE\t1000000\t810000\n')).toMatchObject({ state: 'warning' });
    expect(await pool('DEGRADED\t1000000\t1\n')).toMatchObject({
      state: 'problem',
      mend: 'zpool status -v tank',
    });
    expect(await pool(1)).toMatchObject({
      state: 'problem',
      found: 'it failed with 1',
      mend: 'zpool import tank',
    });
  });

  it('shows clones that somebody else made (Z17)', async () => {
    const clones = (text: string) =>
      zfsClones.look(recordedScene({ said: { 'zfs list -Hp -o name,origin -t filesystem -r tank': text } }));
    const own = 'tank\t-\ntank/snapstep/result/b/home\ttank/snapstep/result/a/home@snap\n';
    expect(await clones(own)).toMatchObject({ state: 'ok' });
    expect(await clones(`${own}tank/debug\ttank/snapstep/result/a/home@snap\n`)).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('1 clones of the store'),
      mend: 'zfs promote tank/debug, or zfs destroy it',
    });
  });

  it('shows datasets that are mounted though nobody uses the store (Z8)', async () => {
    const mounts = (text: string) =>
      zfsMounts.look(
        recordedScene({ said: { 'zfs list -Hp -o mounted,name -t filesystem -r tank/snapstep': text } }),
      );
    expect(await mounts('yes\ttank/snapstep\nno\ttank/snapstep/result\n')).toMatchObject({ state: 'ok' });
    expect(await mounts('no\ttank/snapstep\nyes\ttank/snapstep/result/a/home\n')).toMatchObject({
      state: 'warning',
      found: '1 are mounted, though nobody uses the store, such as tank/snapstep/result/a/home',
    });
  });

  it('shows datasets of steps that were killed (Z15)', () => {
    const names = [
      ...[
        't/s',
        't/s/result',
        't/s/result/a',
        't/s/result/a@snap',
        't/s/result/a/home',
        't/s/result/a/home@snap',
      ],
      ...[
        't/s/result/b',
        't/s/result/b/home',
        't/s/trash',
        't/s/trash/1-a',
        't/s/cache/c-x',
        't/s/cache-tmp/1-b',
      ],
    ];
    const rows = names.map((name) => ({ name, origin: '-' }));
    expect(unfinished('t/s', rows)).toEqual(['t/s/result/b', 't/s/trash/1-a', 't/s/cache-tmp/1-b']);
    const clone = { name: 't/s/result/a/home', origin: 't/s/trash/1-a/home@snap' };
    expect(unfinished('t/s', [...rows, clone])).toEqual(['t/s/result/b', 't/s/cache-tmp/1-b']);
  });
});

describe('Btrfs metadata (B2)', () => {
  // btrfs-progs 6.2, `btrfs filesystem usage -b`, with its figures changed.
  const usage = (metadata: number, unallocated: number) => `Overall:
    Device size:\t\t1073741824
    Device unallocated:\t\t${unallocated}
    Free (estimated):\t\t 400000000\t(min: 400000000)
    Metadata ratio:\t\t      2.00
    Global reserve:\t\t   3407872\t(used: 0)

Data,single: Size:600000000, Used:200000000 (33.33%)
   /dev/loop0\t600000000

Metadata,DUP: Size:1000000000, Used:${metadata} (0.00%)
   /dev/loop0\t2000000000
`;
  const look = (metadata: number, unallocated: number) => {
    const said = { 'btrfs filesystem usage -b /': usage(metadata, unallocated) };
    return btrfsMetadata.look(recordedScene({ platform: 'linux', store: 'btrfs:/nowhere', said }));
  };

  it('is a problem when it is full and nothing is left to take, however many bytes are free', async () => {
    expect(await look(810_000_000, 1e9)).toMatchObject({
      state: 'problem',
      found: expect.stringMatching(/^81 % full/),
    });
    expect(await look(810_000_000, 3e9)).toMatchObject({ state: 'ok' });
    expect(await look(790_000_000, 0)).toMatchObject({ state: 'ok' });
  });

  it('is not guessed from an output that cannot be understood', async () => {
    const said = { 'btrfs filesystem usage -b /': 'nothing of the kind\n' };
    const scene = recordedScene({ platform: 'linux', store: 'btrfs:/nowhere', said });
    expect(await btrfsMetadata.look(scene)).toMatchObject({ state: 'warning' });
  });
});

describe('cgroups', () => {
  const v1 = (name: string, mode = 'rw') =>
    `30 25 0:26 / /sys/fs/cgroup/${name} ${mode},nosuid shared:9 - cgroup cgroup rw,${name}\n`;
  const v2 = '35 25 0:30 / /sys/fs/cgroup/unified rw,nosuid shared:10 - cgroup2 cgroup2 rw,nsdelegate\n';
  const look = (mountinfo: string, files: Readonly<Record<string, string>> = {}) =>
    cgroups.look(
      recordedScene({
        platform: 'linux',
        sandbox: 'runc',
        store: 'rsync:/x',
        files: { '/proc/self/mountinfo': mountinfo, ...files },
      }),
    );

  it('of both versions, beside each other or alone, are fine', async () => {
    const old = v1('memory') + v1('cpu') + v1('pids');
    expect(await look(old + v2)).toEqual({ state: 'ok', found: 'cgroup v1, with v2 beside it' });
    expect(await look(old)).toEqual({ state: 'ok', found: 'cgroup v1' });
    const controllers = { '/sys/fs/cgroup/unified/cgroup.controllers': 'cpuset cpu io memory pids\n' };
    expect(await look(v2, controllers)).toEqual({ state: 'ok', found: 'cgroup v2' });
  });

  it('that lack a controller cannot enforce a limit', async () => {
    expect(await look(v1('memory') + v1('pids'))).toMatchObject({
      state: 'warning',
      found: expect.stringContaining('without the controllers cpu,'),
    });
  });

  it('that are not there, or cannot be written, are a problem', async () => {
    expect(await look('')).toMatchObject({ state: 'problem' });
    expect(await look(v1('memory', 'ro'))).toMatchObject({ state: 'problem' });
  });
});

it('an index of overlays is told, and does no harm to a store that turns it off (V12)', async () => {
  const look = (files: Readonly<Record<string, string>>) =>
    overlayIndex.look(recordedScene({ platform: 'linux', store: 'overlayfs:/x', files }));
  expect(await look({ '/sys/module/overlay/parameters/index': 'Y\n' })).toEqual({
    state: 'ok',
    found: 'on for the machine; this store turns it off for its own mounts',
  });
  expect(await look({ '/sys/module/overlay/parameters/index': 'N\n' })).toMatchObject({ found: 'off' });
});

it('a profile of AppArmor that reaches into containers is warned of (R9)', async () => {
  const look = (profiles: string) => {
    const files = { '/sys/kernel/security/apparmor/profiles': profiles };
    return apparmor.look(recordedScene({ platform: 'linux', sandbox: 'runc', store: 'rsync:/x', files }));
  };
  expect(await look('lsb_release (enforce)\nunix-chkpwd (enforce)\n')).toMatchObject({ state: 'warning' });
  expect(await look('lsb_release (enforce)\nunix-chkpwd (complain)\n')).toMatchObject({ state: 'ok' });
});
