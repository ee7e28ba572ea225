import { chmod, mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { busyboxRootfs, needs, tempDir, type ZfsPool, zfsPool } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { makeMac } from './support/emulated-mac.ts';
import { users } from './support/mac-builder.ts';

const MAIN = resolve(import.meta.dirname, '../../../cli/src/main.ts');
const PREFIX = '/opt/homebrew';
const [user] = users;
const SCRIPT = `#!/usr/bin/env bash
set -e
id -un; pwd
echo "export FROM_PROFILE=$ROUND" > ~/.snapstep_profile.sh
mkdir -p ${PREFIX}/bin
printf '#!/bin/sh\\necho tool %s\\n' "$ROUND" > ${PREFIX}/bin/tool
chmod +x ${PREFIX}/bin/tool
if [ "$ROUND" = wait ]; then echo waiting; sleep 1000; fi
[ "$ROUND" != bad ]
`;
const SPEC = '((from mac) (run (network host) (shell "tool; echo profile $FROM_PROFILE; echo x > ~/x")))';
const BUILD = ['build', '-f', 'build.spec', '--progress', 'plain'];

needs('root', 'openzfs')('snapstep base-image on OpenZFS, with the tools of a Mac emulated', () => {
  let here: ZfsPool;
  let there: ZfsPool;
  let dir: Awaited<ReturnType<typeof tempDir>>;
  let digest: string;
  let old: string;

  beforeAll(async () => {
    await makeMac();
    [here, there] = [await zfsPool(), await zfsPool()];
    for (const { name } of [here, there]) await execa('zfs', ['create', `${name}/store`]);
    dir = await tempDir();
    await chmod(dir.path, 0o755);
    await writeFile(join(dir.path, 'fill.sh'), SCRIPT);
    await writeFile(join(dir.path, 'build.spec'), SPEC);
  });
  afterAll(async () => {
    for (const made of [here, there, dir]) await made[Symbol.asyncDispose]();
  });

  const start = (pool: ZfsPool, args: readonly string[], env: Readonly<Record<string, string>> = {}) =>
    execa(process.execPath, [MAIN, ...args], {
      cwd: dir.path,
      reject: false,
      env: {
        SNAPSTEP_STORE: `zfs:${pool.name}/store`,
        SNAPSTEP_SANDBOX: 'macos',
        SNAPSTEP_MACOS_USER: `${user.name}:${user.uid}:${user.gid}`,
        SNAPSTEP_HOMEBREW_PREFIX: PREFIX,
        XDG_STATE_HOME: join(dir.path, 'state'),
        ...env,
      },
    });
  const snapstep = async (pool: ZfsPool, ...args: readonly string[]) => {
    const { exitCode, stdout, stderr } = await start(pool, args);
    return { exitCode, stdout, stderr };
  };
  const create = (round: string) => [
    ...['base-image', 'create', 'mac', '--script', 'fill.sh', '--env', `ROUND=${round}`],
  ];
  const listed = async (pool: ZfsPool): Promise<string> => {
    const { stdout } = await snapstep(pool, 'base-image', 'ls', '--json');
    return stdout === '' ? '' : JSON.parse(stdout).digest;
  };

  it('create makes an image as the user, and a spec finds it', async () => {
    const made = await snapstep(here, ...create('1'));
    const stderr = `${user.name}\n/Users/${user.name}`;
    expect(made).toEqual({
      exitCode: 0,
      stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}$/),
      stderr,
    });
    digest = made.stdout;
    expect(await listed(here)).toBe(digest);
    const built = await snapstep(here, ...BUILD);
    expect(built.stderr).toMatch(/\| tool 1\n.*\| profile 1\n/);
    old = built.stdout;
  });

  it('create again gives another digest and other keys, and the old result stays readable (M1)', async () => {
    const made = await snapstep(here, ...create('2'));
    expect(made).toMatchObject({ exitCode: 0 });
    expect(made.stdout).not.toBe(digest);
    digest = made.stdout;
    const built = await snapstep(here, ...BUILD);
    expect(built.stderr).toMatch(/\| tool 2\n.*\| profile 2\n/);
    expect(built.stdout).not.toBe(old);
    expect(await snapstep(here, 'export', old, 'old')).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    expect((await readdir(join(dir.path, 'old'))).toSorted()).toEqual(['brew', 'home']);
    expect(await readFile(join(dir.path, 'old/brew/bin/tool'), 'utf8')).toContain('tool 1');
  });

  it('a script that fails, or that is stopped, changes nothing', async () => {
    const failed = await snapstep(here, ...create('bad'));
    expect(failed).toMatchObject({ exitCode: 1, stdout: '' });
    expect(failed.stderr).toContain(
      'the script failed, and nothing of it is kept: the command exited with 1',
    );
    const stopped = start(here, create('wait'));
    for await (const line of stopped.iterable({ from: 'stderr' })) {
      if (line === 'waiting') stopped.kill('SIGINT');
    }
    expect(await stopped).toMatchObject({ exitCode: 130, stdout: '' });
    expect(await listed(here)).toBe(digest);
  });

  it('doctor finds nothing of it left, and no problem', async () => {
    const { exitCode, stdout } = await snapstep(here, 'doctor', '--json');
    const found = stdout.split('\n').map((line) => JSON.parse(line));
    const names = ['zfs-leftovers', 'zfs-mounts', 'zfs-clones', 'rows-without-snapshots', 'macos-users'];
    const wrong = found.filter(({ name, state }) => names.includes(name) && state !== 'ok');
    expect(wrong).toEqual([]);
    expect(found.find(({ name }) => name === 'index').found).toBe('4 steps are saved');
    expect(exitCode).toBe(0);
  });

  it('doctor calls a step whose dataset somebody destroyed a problem, and finds a foreign clone', async () => {
    const step = `${here.name}/store/result/${old}`;
    await execa('zfs', ['clone', '-o', 'mountpoint=none', `${step}/home@snap`, `${here.name}/debug`]);
    const cloned = await snapstep(here, 'doctor', '--json');
    expect(cloned.stdout).toContain(`such as ${here.name}/debug`);
    await execa('zfs', ['destroy', `${here.name}/debug`]);
    await execa('zfs', ['destroy', '-r', step]);
    const gone = await snapstep(here, 'doctor', '--json');
    expect(gone.exitCode).toBe(1);
    expect(gone.stdout).toContain(`${old.slice(0, 12)} is counted as saved, but gone from the store`);
    expect(await snapstep(here, 'ls')).toMatchObject({ exitCode: 0 });
    expect(await snapstep(here, 'doctor')).toMatchObject({ exitCode: 0 });
  });

  it('export and import move it to another pool with its digest, and so with its keys', async () => {
    const exported = await snapstep(here, 'base-image', 'export', 'mac', 'mac.image');
    expect(exported).toEqual({ exitCode: 0, stdout: '', stderr: '' });
    const imported = await snapstep(there, 'base-image', 'import', 'mac', 'mac.image');
    expect(imported).toEqual({ exitCode: 0, stdout: digest, stderr: '' });
    const [mine, theirs] = [await snapstep(here, ...BUILD), await snapstep(there, ...BUILD)];
    expect(theirs).toMatchObject({ exitCode: 0, stdout: mine.stdout });
  });

  it('create in a container starts from another image, as a fresh volume has no shell', async () => {
    const rootfs = join(dir.path, 'rootfs');
    await mkdir(rootfs);
    await busyboxRootfs(rootfs, ['sh', 'cat', 'env']);
    await execa('zfs', ['create', `${there.name}/linux`]);
    await writeFile(join(dir.path, 'setup.sh'), '#!/bin/sh -e\necho made > /made\n');
    await writeFile(
      join(dir.path, 'linux.spec'),
      '((from tools) (shell /bin/sh -c) (run (shell "cat /made")))',
    );
    const env = { SNAPSTEP_STORE: `zfs:${there.name}/linux`, SNAPSTEP_SANDBOX: 'runc' };
    const args = ['base-image', 'create', 'tools', '--script', 'setup.sh', '--from', 'busybox'];
    const made = await start(there, [...args, '--image', `busybox=rootfs:${rootfs}`], env);
    expect(made).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/^sha256:/) });
    const built = await start(there, ['build', '-f', 'linux.spec', '--progress', 'plain'], env);
    expect(built.stderr).toContain('main 2/2 | made\n');
  });

  it('rm waits until no step needs the image', async () => {
    expect(await snapstep(there, 'base-image', 'rm', 'mac')).toMatchObject({ exitCode: 3 });
    expect(await snapstep(there, 'prune')).toMatchObject({ exitCode: 0 });
    expect(await snapstep(there, 'base-image', 'rm', 'mac')).toMatchObject({ exitCode: 0 });
    expect(await listed(there)).toBe('');
  });
});
