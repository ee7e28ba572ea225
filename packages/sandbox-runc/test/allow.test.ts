import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import { expectErr, expectOk, tempDir } from '@snapstep/test-support';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Allowance, openRuncSandbox } from '../src/index.ts';
import { addPerl, addPrograms, callEach } from './perl-rootfs.ts';
import { type Bench, openBench, withEachRuntime } from './steps.ts';

const ENOSYS = 38;
const USER = { uid: 1000, gid: 1000 };

/** Of the kind that opam makes for every command of a package. */
const BWRAP =
  `bwrap --unshare-net --new-session --die-with-parent --proc /proc --dev /dev --tmpfs /scratch --tmpfs /run
  --ro-bind /usr /usr --ro-bind /bin /bin --ro-bind /lib /lib --ro-bind /lib64 /lib64 --ro-bind /etc /etc
  --bind-try /home/builder /home/builder --setenv TMPDIR /scratch`.replaceAll('\n', ' ');

/** What such a command may do, and may not. */
const COMMAND = `sh -c 'pwd; echo written >"$TMPDIR/x" && cat "$TMPDIR/x"; ls / | grep -c root || true
  touch /usr/x 2>/dev/null || echo kept; echo x >/dev/null && head -c 3 /dev/zero | wc -c; ls /proc/self/ns | wc -l'`;
const DONE = /^\/home\/builder\nwritten\n0\nkept\n3\n1\d\n$/;

const TINY = `opam-version: "2.0"
build: ["sh" "-c" "touch /home/escaped && echo escaped; echo made here >result; ls -d /home/*/.opam/repo"]
install: [["mkdir" "-p" share] ["cp" "result" "%{share}%/tiny"]]
`;

const OPAM_TOOLS = ['opam', 'bash', 'rsync', 'getconf', 'readlink'].map((name) => `/usr/bin/${name}`);

async function bubblewrapBench(runtime: string, allow: readonly Allowance[]): Promise<Bench> {
  const bench = await openBench({ runtime, allow });
  await addPrograms(bench.rootfs, ['/usr/bin/bwrap']);
  await mkdir(join(bench.rootfs, 'home/builder'), { recursive: true });
  return bench;
}

/** Without `-y`, with which opam builds without a sandbox where it cannot have one. */
const OPAM = `set -e; export HOME=$(mktemp -d /home/XXXXXX) PATH=/usr/bin:/bin OPAMCOLOR=never; cd
  opam init --no --bare --no-setup default /repository </dev/null
  opam switch create one --empty; opam install --yes tiny
  cat .opam/one/share/tiny; test -e /home/escaped || echo nothing escaped`;

withEachRuntime(
  'a bubblewrap in a step',
  (runtime) => {
    describe('with user namespaces', () => {
      let bench: Bench;
      beforeAll(async () => {
        bench = await bubblewrapBench(runtime, ['user-namespaces']);
        await addPrograms(bench.rootfs, OPAM_TOOLS);
        await mkdir(join(bench.rootfs, 'repository/packages/tiny/tiny.1'), { recursive: true });
        await writeFile(join(bench.rootfs, 'repository/repo'), 'opam-version: "2.0"\n');
        await writeFile(join(bench.rootfs, 'repository/packages/tiny/tiny.1/opam'), TINY);
        await bench.outputOf('chown -R 1000:1000 /home && chmod 777 /home');
      });
      afterAll(() => bench[Symbol.asyncDispose]());

      it('runs a command for another user than root, in the way of opam', async () => {
        const script = `${BWRAP} --chdir /home/builder ${COMMAND}`;
        expect(await bench.outputOf(script, { user: USER })).toMatch(DONE);
      });

      it.each([
        ['where it is told to make a user namespace', `${BWRAP} --unshare-user --chdir /home/builder`],
        ['in a user namespace', `unshare --map-root-user ${BWRAP} --chdir /home/builder`],
      ])('runs one for root %s', async (_, bwrap) => {
        expect(await bench.outputOf(`${bwrap} ${COMMAND}`)).toMatch(DONE);
      });

      it('may have processes, a host name and shared memory of its own', async () => {
        const script = `bwrap --unshare-user --unshare-pid --unshare-uts --unshare-ipc --hostname inner
          --ro-bind / / --bind /proc /proc sh -c 'hostname; echo $$'`.replaceAll('\n', ' ');
        expect(await bench.outputOf(script, { user: USER })).toMatch(/^inner\n[23]\n$/);
      });

      it.each([
        ['another user', OPAM, USER],
        ['root, in a user namespace', `unshare --map-root-user sh -c '${OPAM}'`, { uid: 0, gid: 0 }],
      ])('lets opam build a package in its own sandbox for %s', async (_, script, user) => {
        const output = await bench.outputOf(script, { user });
        expect(output).toContain('-> installed tiny.1');
        expect(output).toContain('made here\nnothing escaped\n');
      });
    });

    describe('without', () => {
      let bench: Bench;
      beforeAll(async () => {
        bench = await bubblewrapBench(runtime, ['io-uring']);
        await addPrograms(bench.rootfs, OPAM_TOOLS);
        await mkdir(join(bench.rootfs, 'repository/packages'), { recursive: true });
        await writeFile(join(bench.rootfs, 'repository/repo'), 'opam-version: "2.0"\n');
        await bench.outputOf('chmod 777 /home');
      });
      afterAll(() => bench[Symbol.asyncDispose]());

      it.each([
        ['another user', USER],
        ['root', { uid: 0, gid: 0 }],
      ])('is refused to %s', async (_, user) => {
        const { result, output } = await bench.run(`${BWRAP} --unshare-user true`, { user });
        expect(output).toMatch(/^bwrap: .*(Operation not permitted|No permissions)/);
        expect(expectOk(result)).toEqual({ type: 'exited', code: 1 });
      });

      it('keeps opam from having its own sandbox', async () => {
        const { result, output } = await bench.run(OPAM, { user: USER });
        expect(output).toContain('Sandboxing is not working on your platform');
        expect(expectOk(result)).not.toEqual({ type: 'exited', code: 0 });
      });
    });
  },
  ['bwrap', 'opam'],
);

withEachRuntime('io_uring', (runtime) => {
  const calls = callEach([
    // Room for the kernel's answer, which is 120 bytes.
    ['setup', 425, '4, my $room = "\\0" x 120'],
    ['enter', 426, '-1, 0, 0, 0, 0, 0'],
    ['register', 427, '-1, 99, 0, 0'],
    ['unshare', { x64: 272, arm64: 97 }[process.arch === 'arm64' ? 'arm64' : 'x64'], '0x10000000'],
  ]);
  const errorsWith = async (allow: readonly Allowance[]): Promise<(string | undefined)[]> => {
    await using bench = await openBench({ runtime, allow });
    await addPerl(bench.rootfs);
    return (await bench.outputOf(calls, { user: USER })).trim().split('\n');
  };

  it('can be set up and used where it is allowed, and opens no namespaces', async () => {
    const [setup, enter, register, unshare] = await errorsWith(['io-uring']);
    expect(setup).toBe('setup 0');
    expect([enter, register]).not.toContain(`enter ${ENOSYS}`);
    expect(register).toMatch(/^register (9|22)$/);
    expect(unshare).toBe('unshare 1');
  });

  it('does not exist where only namespaces are', async () => {
    expect(await errorsWith(['user-namespaces'])).toEqual([
      `setup ${ENOSYS}`,
      `enter ${ENOSYS}`,
      `register ${ENOSYS}`,
      'unshare 0',
    ]);
  });
});

withEachRuntime('what a sandbox is asked to allow', (runtime) => {
  it('must be something that it knows', async () => {
    await using dir = await tempDir();
    const stateDir = toHostPath(join(dir.path, 'state'));
    const allow = ['everything'] as unknown as readonly Allowance[];
    const error = expectErr(await openRuncSandbox({ stateDir, runtime, allow }));
    expect(error).toMatchObject({ type: 'failed', message: expect.stringContaining('"everything"') });
  });
});
