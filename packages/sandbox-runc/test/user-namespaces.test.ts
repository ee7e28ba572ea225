import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { busyboxRootfs, expectOk } from '@snapstep/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { addPerl, callEach } from './perl-rootfs.ts';
import {
  type Bench,
  openBench,
  processesWith,
  requestFor,
  tracesOf,
  volumeAt,
  withEachRuntime,
} from './steps.ts';

const [EPERM, ENOSYS] = [1, 38];
const NUMBERS = {
  x64: { clone: 56, unshare: 272, open_by_handle_at: 304 },
  arm64: { clone: 220, unshare: 97, open_by_handle_at: 265 },
}[process.arch === 'arm64' ? 'arm64' : 'x64'];

/** A script as the root of new namespaces, with every capability over them. */
function asOwner(script: string): string {
  return `unshare --map-root-user --mount --net --ipc --uts --pid --fork sh -c '
    ${script}'`;
}

withEachRuntime('a user namespace in a step', (runtime) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench({ runtime, allow: ['user-namespaces'] });
    await addPerl(bench.rootfs);
    await bench.outputOf('mkdir -m 777 /mnt /empty; echo of the image >/image; mkdir /nodes');
    execFileSync('mknod', ['-m', '666', join(bench.rootfs, 'nodes/null'), 'c', '1', '3']);
  });
  afterAll(async () => {
    expect(await tracesOf(bench.stateDir)).toEqual([]);
    await bench[Symbol.asyncDispose]();
  });

  it('comes with no namespace of cgroups, whose owner could lift limits', async () => {
    const calls = callEach([
      ['clone', NUMBERS.clone, `${0x12000000 + 17}, 0, 0, 0, 0`],
      ['unshare', NUMBERS.unshare, '0x12000000'],
      ['clone3', 435, '0, 0'],
    ]);
    expect(await bench.outputOf(calls)).toBe(`clone ${EPERM}\nunshare ${EPERM}\nclone3 ${ENOSYS}\n`);
  });

  it('lets no file be opened by its handle, and tools fall back from the new mount calls', async () => {
    const newMount = [428, 429, 430, 431, 432, 433, 442];
    const calls = callEach([
      ['open_by_handle_at', NUMBERS.open_by_handle_at, '-1, 0, 0'],
      ...newMount.map((number) => [`${number}`, number, '-1, 0, 0, 0, 0'] as const),
    ]);
    const expected = [`open_by_handle_at ${EPERM}`, ...newMount.map((number) => `${number} ${ENOSYS}`)];
    expect((await bench.outputOf(calls)).trim().split('\n')).toEqual(expected);
  });

  describe.each([
    ['root', { uid: 0, gid: 0 }],
    ['another user', { uid: 1000, gid: 1000 }],
  ])('of %s', (_, user) => {
    const attack = (script: string, more: object = {}) => bench.outputOf(asOwner(script), { user, ...more });

    it('lets its owner mount, and be root there', async () => {
      const output = await attack(
        'id -u; mount -t tmpfs x /mnt && echo a >/mnt/a && cat /mnt/a; hostname b; hostname',
      );
      expect(output).toBe('0\na\nb\n');
      expect(await bench.outputOf('ls /mnt')).toBe('');
    });

    it('gives no fresh view of processes, devices or cgroups', async () => {
      const types = ['proc', 'sysfs', 'sysfs -o ro', 'cgroup2', 'cgroup -o pids', 'cgroup -o none,name=x'];
      const types2 = ['devtmpfs', 'securityfs', 'debugfs', 'tracefs', 'configfs', 'efivarfs', 'pstore'];
      const mounts = [...types, ...types2].map(
        (type) => `mount -t ${type} x /mnt 2>/dev/null && echo ${type}`,
      );
      expect(await attack(`${mounts.join('\n')}\ntrue`)).toBe('');
    });

    it('uncovers nothing that was hidden, and makes nothing writable', async () => {
      const output = await attack(`
        for path in /proc/kcore /proc/keys /proc/interrupts /proc/sys /proc/sysrq-trigger /sys/firmware; do
          umount $path 2>/dev/null && echo uncovered $path
        done
        for path in /proc/sys /proc/sysrq-trigger /proc/irq /sys; do
          mount -o remount,bind,rw $path 2>/dev/null && echo remounted $path
        done
        mount --bind /proc /mnt 2>/dev/null && echo bound without what covers it
        # Opened and not written to: the host must stay whole where this fails.
        mount -o rbind /proc /mnt && for dir in /proc /mnt; do
          for f in interrupts kcore keys; do head -c9 $dir/$f 2>/dev/null; done
          for f in sys/kernel/hostname sys/kernel/core_pattern sysrq-trigger irq/default_smp_affinity; do
            (: >>$dir/$f) 2>/dev/null && echo can write to $f; done
        done
        (: >>/sys/kernel/mm/ksm/run) 2>/dev/null && echo can write to sys; true`);
      expect(output).toBe('');
    });

    it('cannot make a device node, or one usable', async () => {
      const output = await attack(`
        mount -t tmpfs x /mnt && mknod /mnt/null c 1 3 2>/dev/null && echo made a node
        mount -t tmpfs -o dev x /mnt && mknod /mnt/disk b 7 0 2>/dev/null && echo made a disk
        mount -t ext4 /dev/loop0 /mnt 2>/dev/null && echo mounted a disk
        cat /nodes/null 2>/dev/null && echo read
        mount -o rbind / /empty; for at in / /empty; do
          mount -o remount,bind,dev $at 2>/dev/null && echo remounted $at; done
        mount -t overlay -o lowerdir=/nodes:/tmp x /mnt && cat /mnt/null 2>/dev/null && echo read through an overlay
        test -c /mnt/null || echo no overlay
        ls /dev | grep -E "loop|vd|sd|fuse|kvm|mem"; true`);
      expect(output).toBe('');
    });

    it('does not write to what is read-only, nor read below a mount', async () => {
      const cache = await mkdtemp(join(bench.dir, 'cache-'));
      await writeFile(join(cache, 'kept'), 'kept');
      const secrets = [{ target: '/image', value: Buffer.from('secret\n') }];
      const output = await attack(
        `umount /c 2>/dev/null && echo uncovered; umount /image 2>/dev/null && echo uncovered
        mount -o remount,bind,rw /c 2>/dev/null && echo remounted; touch /c/new 2>/dev/null && echo wrote
        mount -o bind /c /mnt && mount -o remount,bind,rw /mnt 2>/dev/null && echo remounted a bind
        mount -o bind / /empty 2>/dev/null && cat /empty/image; true`,
        { mounts: [{ volume: volumeAt(cache), target: '/c', readOnly: true }], secrets },
      );
      expect(output).toBe('');
      expect(await readFile(join(cache, 'kept'), 'utf8')).toBe('kept');
    });

    it('shows nothing of it on the host, and leaves nothing running', async () => {
      const marker = `60${Math.floor(Math.random() * 1e9)}`;
      const seen: string[] = [];
      const output = {
        async write() {
          seen.push(...(await processesWith(marker)).map(() => 'running'));
          const mounts = await readFile('/proc/self/mountinfo', 'utf8');
          if (mounts.includes(`marked-${marker}`)) seen.push('mounted on the host');
        },
      };
      const script = `mount -t tmpfs marked-${marker} /mnt
        setsid sleep ${marker} >/dev/null 2>&1 & sleep 0.2; echo now; sleep 0.3`;
      await attack(script, { output });
      expect(new Set(seen)).toEqual(new Set(['running']));
      expect(await processesWith(marker)).toEqual([]);
    });

    it('sees and reaches no processes but those of its step', async () => {
      const rootfs = await mkdtemp(join(bench.dir, 'other-'));
      await busyboxRootfs(rootfs);
      const stop = new AbortController();
      const began = Promise.withResolvers<void>();
      const marker = `70${Math.floor(Math.random() * 1e9)}`;
      const request = { output: { write: async () => began.resolve() }, signal: stop.signal };
      const other = bench.sandbox.run(requestFor(rootfs, `echo begun; exec sleep ${marker}`, request), {});
      await began.promise;
      const output = await attack(
        'cat /proc/[0-9]*/cmdline | tr "\\0" "\n"; mount -o rbind /proc /mnt; ls /mnt',
      );
      stop.abort();
      await other;
      expect(output).toContain('sh\n');
      expect(output).not.toContain(marker);
      expect(output.match(/^\d+$/gm)?.length).toBeLessThan(10);
    });

    it('keeps to the limits of its step', async () => {
      const pids = { pids: 12, timeoutMs: 20_000 };
      const many = await bench.run(
        asOwner('for i in 1 2 3 4 5 6 7 8 9 10 11 12 13; do sleep 30 & done; wait'),
        { user, limits: pids },
      );
      expect(expectOk(many.result)).toEqual({ type: 'limit-exceeded', limit: 'pids' });
      const eating = asOwner('mount -t tmpfs x /mnt && head -c 100m /dev/zero >/mnt/x');
      const much = await bench.run(eating, { user, limits: { memoryBytes: 32 * 1024 * 1024 } });
      expect(expectOk(much.result)).toEqual({ type: 'limit-exceeded', limit: 'memoryBytes' });
    });
  });

  it('does not make another user root outside of it', async () => {
    const user = { uid: 1000, gid: 1000 };
    const output = await bench.outputOf(
      `${asOwner('echo x >>/image; chown 0 /tmp; chmod 4755 /bin/busybox; cat /root/x')} 2>/dev/null
      unshare --user sh -c 'echo 0 0 1 >/proc/self/uid_map' 2>/dev/null && echo mapped; cat /image`,
      { user },
    );
    expect(output).toBe('of the image\n');
  });
});
