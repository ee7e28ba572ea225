import { describe, expect, it } from 'vitest';
import { parseMountTable } from '../src/mount-table.ts';
import { canFakeSuccess, canKeepCgroup } from '../src/runtime.ts';
import { commandNotExecuted, commandNotStarted } from '../src/runtime-log.ts';
import { seccompProfile } from '../src/seccomp.ts';

describe('what a version can do', () => {
  const runc = (version: string) => ({ kind: 'runc', program: 'runc', version }) as const;

  it.each(['1.0.0-rc92', '1.0.0-rc93+dev', '1.0.0', '1.0.3', '1.1.5+ds1', '1.2.0-rc.1', '2.0.0'])(
    'runc %s makes system calls succeed without doing them (B6)',
    (version) => expect(canFakeSuccess(runc(version))).toBe(true),
  );

  it.each(['0.1.1', '1.0.0-rc6', '1.0.0-rc10+dev', '1.0.0-rc91'])('runc %s does not (B6)', (version) =>
    expect(canFakeSuccess(runc(version))).toBe(false),
  );

  it('runc keeps a cgroup from 1.1 on, crun does not', () => {
    expect(['0.1.1', '1.0.3', '1.1.0', '1.3.0'].map((version) => canKeepCgroup(runc(version)))).toEqual([
      ...[false, false, true, true],
    ]);
    expect(canKeepCgroup({ kind: 'crun', program: 'crun', version: '1.8.1' })).toBe(false);
  });
});

describe('a command that did not start', () => {
  it.each([
    [127, 'exec: "nosuch": executable file not found in $PATH'],
    [127, 'exec: "/no/such": stat /no/such: no such file or directory'],
    [127, 'executable file `nosuch` not found in $PATH: No such file or directory'],
    [126, 'exec: "/etc/passwd": permission denied'],
    [126, 'open executable: Operation not permitted'],
    [undefined, 'error mounting "/x": no such file or directory'],
    [undefined, 'cannot join the cgroup'],
  ])('is %s: %s', (code, message) => expect(commandNotStarted(message)).toBe(code));

  it('says so in one line at the very end, and nothing else does', () => {
    const json = '{"msg":"exec container process `/x`: Exec format error","level":"error","time":"now"}\n';
    expect(commandNotExecuted(json, '/x')).toBe(126);
    expect(commandNotExecuted('exec /bin/sh: argument list too long\n', '/bin/sh')).toBe(126);
    expect(commandNotExecuted('exec /bin/sh: argument list too long\n', '/bin/other')).toBeUndefined();
    expect(commandNotExecuted('exec x: hello\n', 'x')).toBeUndefined();
    expect(commandNotExecuted(`make: hello\n${json}`, '/x')).toBeUndefined();
    expect(commandNotExecuted('{"msg":"something else","level":"error"}', '/x')).toBeUndefined();
  });
});

describe('the mount table', () => {
  it('has targets with the spaces and backslashes that they have (T3)', () => {
    const line = '36 35 98:0 /a /mnt\\040b\\134c rw,noatime master:1 - cgroup cgroup rw,cpu,cpuacct';
    expect(parseMountTable(`${line}\n\n`)).toEqual([
      { target: '/mnt b\\c', fsType: 'cgroup', superOptions: ['rw', 'cpu', 'cpuacct'] },
    ]);
  });
});

describe('the seccomp profile', () => {
  it.each([
    ['x64', ['SCMP_ARCH_X86_64', 'SCMP_ARCH_X86', 'SCMP_ARCH_X32']],
    ['arm64', ['SCMP_ARCH_AARCH64', 'SCMP_ARCH_ARM']],
  ])('of %s covers the smaller architectures that run on it (B7)', (arch, architectures) => {
    expect(seccompProfile({ arch, fastSync: false, allow: [] }).architectures).toEqual(architectures);
  });

  it('has no rule twice, and none for clone3', () => {
    const allowances = [[], ['user-namespaces'], ['user-namespaces', 'io-uring']] as const;
    for (const [fastSync, allow] of [true, false].flatMap((f) => allowances.map((a) => [f, a] as const))) {
      const names = seccompProfile({ arch: 'x64', fastSync, allow })
        .syscalls.filter(({ args }) => args === undefined)
        .flatMap((rule) => rule.names);
      expect(names.filter((name, i) => names.indexOf(name) !== i)).toEqual([]);
      expect(names).not.toContain('clone3');
    }
  });
});
