import { execFileSync } from 'node:child_process';
import { chmod, copyFile, lstat, mkdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Allowance } from '../src/index.ts';
import { addPerl, callEach, EXIT_42, SOCKETCALL, tinyI386 } from './perl-rootfs.ts';
import { type Bench, openBench, type RUNTIMES, volumeAt, withEachRuntime } from './steps.ts';

const [EPERM, ENOSYS] = [1, 38];

/** The numbers of system calls differ between architectures up to 424, and are the same from there. */
const NUMBERS = {
  x64: {
    clone: 56,
    personality: 135,
    fsync: 74,
    sync: 162,
    mount: 165,
    add_key: 248,
    keyctl: 250,
  },
  arm64: {
    clone: 220,
    personality: 92,
    fsync: 82,
    sync: 81,
    mount: 40,
    add_key: 217,
    keyctl: 219,
  },
}[process.arch === 'arm64' ? 'arm64' : 'x64'];
const MORE = {
  x64: {
    unshare: 272,
    setns: 308,
    bpf: 321,
    userfaultfd: 323,
    perf_event_open: 298,
    syncfs: 306,
    msync: 26,
  },
  arm64: {
    unshare: 97,
    setns: 268,
    bpf: 280,
    userfaultfd: 282,
    perf_event_open: 241,
    syncfs: 267,
    msync: 227,
  },
}[process.arch === 'arm64' ? 'arm64' : 'x64'];

withEachRuntime('a container', (runtime) => {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench({ runtime });
    await addPerl(bench.rootfs);
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it.each(['mount', 'unshare', 'setns'] as const)('may not call %s (R7)', async (name) => {
    // 0x20000 is CLONE_NEWNS for unshare and means nothing to the others.
    const call = [name, { ...NUMBERS, ...MORE }[name], '0x20000, 0, 0, 0, 0'] as const;
    expect(await bench.outputOf(callEach([call]))).toBe(`${name} ${EPERM}\n`);
  });

  it('may not make a namespace with clone, by any flag (R7)', async () => {
    const flags = [0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000];
    const calls = flags.map((flag) => [`${flag}`, NUMBERS.clone, `${flag + 17}, 0, 0, 0, 0`] as const);
    expect(await bench.outputOf(callEach(calls))).toBe(flags.map((flag) => `${flag} ${EPERM}\n`).join(''));
  });
});

withEachRuntime('a container, whatever namespaces it may make', (runtime) => {
  describe.each([
    ['none', []],
    ['those of users', ['user-namespaces']],
  ] as const)('(%s)', (_, allow) => {
    isolation(runtime, allow);
  });
});

function isolation(runtime: (typeof RUNTIMES)[number], allow: readonly Allowance[]): void {
  let bench: Bench;
  beforeAll(async () => {
    bench = await openBench({ runtime, allow });
    await addPerl(bench.rootfs);
  });
  afterAll(() => bench[Symbol.asyncDispose]());

  it.each(['add_key', 'keyctl', 'bpf', 'userfaultfd', 'perf_event_open'] as const)(
    'may not call %s (R7)',
    async (name) => {
      const call = [name, { ...NUMBERS, ...MORE }[name], '0, 0, 0, 0, 0'] as const;
      expect(await bench.outputOf(callEach([call]))).toBe(`${name} ${EPERM}\n`);
    },
  );

  it('knows nothing of calls that are new or that cannot be filtered, rather than being refused (R8)', async () => {
    const output = await bench.outputOf(
      callEach([
        ['clone3', 435, '0, 0'],
        ['future', 620, '0'],
        ['io_uring_setup', 425, '0, 0'],
      ]),
    );
    expect(output).toBe(`clone3 ${ENOSYS}\nfuture ${ENOSYS}\nio_uring_setup ${ENOSYS}\n`);
  });

  it('has the calls that a C library of today tries first (R8)', async () => {
    // With bad addresses: EFAULT (14) comes from the kernel, EPERM and ENOSYS would not.
    const output = await bench.outputOf(
      callEach([
        ['openat2', 437, '-100, 0, 0, 24'],
        ['faccessat2', 439, '-100, 0, 0, 0'],
        ['fchmodat2', 452, '-100, 0, 0, 0'],
      ]),
    );
    expect(output.split('\n').slice(0, 2)).toEqual(['openat2 14', 'faccessat2 14']);
    expect(output).not.toMatch(/ 1$/m);
  });

  it('may turn address randomisation off, as debuggers do, and nothing odder', async () => {
    const calls = [0x40000, 0x8, 0x20000, 0xffffffff, 0x400000].map(
      (persona) => [`${persona}`, NUMBERS.personality, `${persona}`] as const,
    );
    const errors = (await bench.outputOf(callEach(calls)))
      .trim()
      .split('\n')
      .map((line) => Number(line.split(' ')[1]));
    expect(errors).toEqual([0, 0, 0, 0, ENOSYS]);
  });

  it.runIf(process.arch === 'x64' && runsI386()).each([
    ['do anything', EXIT_42, 42],
    ['open sockets in the way of old kernels, as most of them do', SOCKETCALL, 3],
  ])('runs programs of 32 bits, where the kernel does, that %s (B7)', async (_, program, code) => {
    const tiny = join(bench.rootfs, 'bin/tiny');
    await writeFile(tiny, tinyI386(program), { mode: 0o755 });
    const shell = join(bench.rootfs, 'bin/busybox');
    const outside = await execa(shell, ['sh', '-c', `${tiny}; exit $?`], { reject: false });
    // What a shell says of a program that it cannot start: some kernels know none of 32 bits.
    expect(outside.exitCode).toBeOneOf([code, 126, 127]);
    const inside = expectOk((await bench.run('/bin/tiny; exit $?')).result);
    expect(inside).toEqual({ type: 'exited', code: outside.exitCode });
  });

  it('has no inheritable and no ambient capabilities, and few others (R6)', async () => {
    const output = await bench.outputOf('grep Cap /proc/self/status');
    const sets = Object.fromEntries(
      output
        .trim()
        .split('\n')
        .map((line) => line.split(':\t')),
    );
    expect(sets).toMatchObject({ CapInh: '0000000000000000', CapAmb: '0000000000000000' });
    expect(sets.CapBnd).toBe('00000000a00405fb');
    expect(sets.CapEff).toBe(sets.CapBnd);
  });

  it('leaves another user no capabilities at all (R6)', async () => {
    const output = await bench.outputOf('grep -E "Cap(Prm|Eff)" /proc/self/status', {
      user: { uid: 1000, gid: 1000 },
    });
    expect(output).toBe('CapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n');
  });

  it('lets a program become root that is meant to, as sudo is', async () => {
    await copyFile('/bin/cat', join(bench.rootfs, 'bin/suid-cat'));
    await chmod(join(bench.rootfs, 'bin/suid-cat'), 0o4755);
    const output = await bench.outputOf('suid-cat /proc/self/status', { user: { uid: 1000, gid: 1000 } });
    expect(output).toContain('Uid:\t1000\t0\t0\t0\n');
  });

  it('states every limit of its processes, and raises none (R4, R5)', async () => {
    const own = await readFile('/proc/self/limits', 'utf8');
    const inside = await bench.outputOf('cat /proc/self/limits');
    const files = Number(/Max open files +\d+ +(\d+)/.exec(own)?.[1]);
    expect(inside).toMatch(
      new RegExp(`Max open files +${Math.min(65536, files)} +${Math.min(65536, files)} `),
    );
    expect(inside).toMatch(/Max core file size +1 +1 /);
    expect(inside).toMatch(/Max stack size +8388608 /);
  });

  it('inherits no descriptor but the three (C3)', async () => {
    // The fourth is that of the directory being read.
    expect(await bench.outputOf('ls /proc/self/fd')).toBe('0\n1\n2\n3\n');
  });

  it('cannot change the mode of a device of the host through its own streams', async () => {
    const before = (await stat('/dev/null')).mode;
    await bench.run('chmod 000 /dev/stdin /dev/stdout /dev/null');
    expect((await stat('/dev/null')).mode).toBe(before);
    expect(await bench.outputOf('echo fine; cat')).toBe('fine\n');
  });

  it('cannot write to its empty standard input, whatever it opens it by', async () => {
    const script = `for f in /proc/self/fd/0 /dev/stdin; do (echo x >>$f) 2>/dev/null && echo wrote; done
      chmod 777 /proc/self/fd/0 2>/dev/null && echo changed; wc -c`;
    // With runc it is a pipe of its own, into which a command may write.
    if (runtime === 'crun') expect(await bench.outputOf(script)).toBe('0\n');
    await bench.run('head -c 1000 /dev/zero >>/proc/self/fd/0; chown 1000 /proc/self/fd/0');
    expect(await stat(join(bench.stateDir, 'run/empty/stdin'))).toMatchObject({
      size: 0,
      uid: 0,
      mode: 0o100444,
    });
    expect(await bench.outputOf('wc -c')).toBe('0\n');
  });

  it('cannot use a device node that the image or a cache brings along, whatever it is, or make one', async () => {
    // The rules about devices allow null and zero, since /dev has them.
    const nodes = ['null c 1 3', 'zero c 1 5', 'kmsg c 1 11', 'loop b 7 0'].map((node) => node.split(' '));
    const cache = join(bench.dir, `cache-${allow}`);
    for (const directory of [join(bench.rootfs, 'nodes'), cache]) {
      await mkdir(directory);
      for (const [name = '', ...node] of nodes) {
        execFileSync('mknod', ['-m', '666', join(directory, name), ...node]);
      }
    }
    const script = `for f in /nodes/* /c/*; do head -c1 $f 2>/dev/null || (: >>$f) 2>/dev/null || echo closed; done
      mknod /n c 1 3 2>/dev/null || echo closed; head -c1 /dev/zero >/dev/null && echo open`;
    const output = await bench.outputOf(script, { mounts: [{ volume: volumeAt(cache), target: '/c' }] });
    expect(output).toBe(`${'closed\n'.repeat(9)}open\n`);
    await expect(lstat(join(bench.rootfs, 'n'))).rejects.toThrow('ENOENT');
  });

  it('cannot read what tells of the host, nor write to the kernel (R22)', async () => {
    const hidden = 'acpi asound interrupts kcore keys latency_stats sched_debug scsi timer_list timer_stats';
    const script = `for f in ${hidden}; do
        (head -c 9 /proc/$f || ls -A /proc/$f) 2>/dev/null | grep -q . && echo "read $f"; done
      for d in /sys/firmware /sys/devices/virtual/powercap /sys/devices/system/cpu/*/thermal_throttle; do
        ls -A $d 2>/dev/null; done
      for f in /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/kernel/mm/ksm/run; do
        (echo 1 >$f) 2>/dev/null && echo wrote $f; done; true`;
    expect(await bench.outputOf(script)).toBe('');
    // On the host some of these say something.
    expect((await readFile('/proc/interrupts', 'utf8')).length).toBeGreaterThan(0);
  });

  it('sees no cgroups of the host, and can change none (R16)', async () => {
    const output = await bench.outputOf(
      'ls /sys/fs/cgroup 2>/dev/null | wc -l; grep -c snapstep /proc/self/cgroup || true',
    );
    expect(output).toBe('0\n0\n');
  });

  it('sees its own processes only', async () => {
    expect(await bench.outputOf('ls /proc | grep -c "^[0-9]"; echo $$')).toMatch(/^[1-5]\n1\n$/);
  });
}

withEachRuntime('fastSync', (runtime) => {
  const calls = callEach([
    ['fsync', NUMBERS.fsync, '-1'],
    ['sync', NUMBERS.sync, ''],
    ['syncfs', MORE.syncfs, '-1'],
    ['msync', MORE.msync, '1, 1, 99'],
  ]);

  it('makes the calls that wait for a disk do nothing, and succeed, but msync does more than that (B6)', async () => {
    await using bench = await openBench({ runtime, fastSync: true });
    await addPerl(bench.rootfs);
    expect(await bench.outputOf(calls)).toBe('fsync 0\nsync 0\nsyncfs 0\nmsync 22\n');
    expect(await bench.outputOf('echo x | dd conv=fsync of=/x 2>/dev/null; sync; cat /x')).toBe('x\n');
  });

  it('is off by default: then the calls reach the kernel (B6)', async () => {
    await using bench = await openBench({ runtime });
    await addPerl(bench.rootfs);
    expect(await bench.outputOf(calls)).toBe('fsync 9\nsync 0\nsyncfs 9\nmsync 22\n');
  });
});

withEachRuntime('noNewPrivileges', (runtime) => {
  it('keeps programs from gaining any', async () => {
    await using bench = await openBench({ runtime, noNewPrivileges: true });
    expect(await bench.outputOf('grep NoNewPrivs /proc/self/status')).toBe('NoNewPrivs:\t1\n');
  });
});

function runsI386(): boolean {
  try {
    return (
      execFileSync('grep', ['-c', '__ia32_sys_exit$', '/proc/kallsyms'], { encoding: 'utf8' }).trim() !== '0'
    );
  } catch {
    return false;
  }
}
