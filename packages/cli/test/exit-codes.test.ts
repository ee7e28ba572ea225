import { spawnSync } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { running } from './running.ts';
import { MAIN, type Workplace, workplace } from './support.ts';

const SNAPSTEP = [process.execPath, MAIN] as const;

describe('a command line that is wrong', () => {
  it.each([
    ['bulid', 'Did you mean build?'],
    ['build', "required option '-f, --file <FILE>' not specified"],
    ['build -f x --memory lots', 'It should be a size with its unit, such as 512M, 2G or 4096B.'],
    ['build -f x --memory 2', 'It should be a size with its unit, such as 512M, 2G or 4096B.'],
    ['prune --keep-free 20', 'It should be a size or a share with its unit, such as 20G or 20%.'],
    ['prune --older-than 9999999y', 'It should be at most 100 years.'],
    ['build -f x --insecure-registry http://a', 'It should be a host, or host:port, such as 127.0.0.1:5000.'],
    ['build -f x --runtime=', 'It should not be empty.'],
    ['log 0123456789 --from 5M', 'It should be a whole number.'],
    ['build -f x --progress loud', 'Allowed choices are auto, plain, json.'],
    ['build -f x --store /data', 'It should be rsync:PATH, btrfs:PATH, overlayfs:PATH or zfs:POOL/DATASET.'],
    ['build -f x --image debian', 'two words with "=" between them'],
    ['ls --nonsense', "unknown option '--nonsense'"],
    ['cache', 'Usage: snapstep cache'],
    ['base-image', 'Usage: snapstep base-image'],
    ['base-image create x', "required option '--script <FILE>' not specified"],
    ['base-image create x --script /nowhere/setup.sh', 'cannot read the script /nowhere/setup.sh'],
    ['base-image create x --script /dev/null --user 1:2:3', 'It should be a name, or UID:GID.'],
    ['base-image import x /nowhere/x.image', 'cannot read /nowhere/x.image'],
    ['ls --sandbox chroot', 'Allowed choices are runc, macos.'],
    ['ls --macos-user mac', 'It should be NAME:UID:GID, such as mac1000:1000:20.'],
    ['ls --macos-user root:0:0', 'A step may not run as root on a Mac.'],
    ['ls --macos-user a:501:20,b:501:20', '"b" or its number 501 was already given.'],
    ['ls --homebrew-prefix brew', 'It should be an absolute path.'],
    ['', 'Usage: snapstep'],
  ])('exits with 2: %s', async (line, message) => {
    const [node, main] = SNAPSTEP;
    const args = line.split(' ').filter(Boolean);
    const { exitCode, stdout, stderr } = await execa(node, [main, ...args], { reject: false });
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toContain(message);
    expect(stderr).not.toMatch(/^ +at /m);
  });
});

needs(
  'root',
  'busybox',
  'rsync',
)('exit codes', () => {
  let place: Workplace;
  beforeAll(async () => {
    place = await workplace();
  });
  afterAll(() => place[Symbol.asyncDispose]());

  it.each([
    ['a spec that is not there', ['-f', 'nowhere.spec'], 'cannot read the spec'],
    ['a context that is not there', ['-f', 'copy.spec', 'nowhere'], 'is not a directory'],
    ['a context that is not given', ['-f', 'copy.spec'], 'no context directory'],
    ['a file that the context does not have', ['-f', 'copy.spec', '.'], 'was not found'],
    ['a secret that is not given', ['-f', 'secret.spec'], 'the secret "token"'],
    [
      'a secret file that is not there',
      ['-f', 'secret.spec', '--secret', 'token:nowhere'],
      'cannot read the secret "token"',
    ],
  ])('2: %s', async (_title, args, message) => {
    await place.spec('copy.spec', '(copy (src missing) (dst /x))');
    await place.spec('secret.spec', '(run (secrets (token (target /t))) (shell "true"))');
    const failed = await place.snapstep(['build', '--image', `busybox=rootfs:${place.path}/rootfs`, ...args]);
    expect(failed).toMatchObject({ exitCode: 2, stdout: '' });
    expect(failed.stderr).toContain(message);
  });

  it.each([
    ['build', ['-f', 'any.spec', '--image', 'debian=foo:/x'], '--image debian=...: "foo:/x" is not an image'],
    ['healthcheck', ['--image', 'debian=foo:/x'], '--image debian=...: "foo:/x" is not an image reference'],
    ['healthcheck', ['No Image'], '"No Image" is not an image reference'],
    ['build', ['-f', 'foo.spec'], '"foo:/x" is not an image reference'],
    ['plan', ['-f', 'place.spec'], '"rootfs:/etc" is a place on this machine, which a spec may not name'],
    ['build', ['-f', 'any.spec', ''], 'the context is empty: "." is the current directory'],
    ['ls', ['--store', 'zfs:tank/a b'], 'zfs:tank/a b: this is not the name of a dataset'],
  ])('2: %s with a value that nothing can be called: %j', async (command, args, message) => {
    await place.spec('any.spec', '(run (shell "true"))');
    await writeFile(join(place.path, 'foo.spec'), '((from foo:/x))');
    await writeFile(join(place.path, 'place.spec'), '((from rootfs:/etc))');
    const failed = await place.snapstep([command, ...args]);
    expect(failed).toMatchObject({ exitCode: 2, stdout: '' });
    expect(failed.stderr).toContain(message);
  });

  it('2: a spec from standard input that is wrong, with the place and the line', async () => {
    const failed = await place.snapstep(['build', '-f', '-'], { input: '((from busybox)\n (run))\n' });
    expect(failed.exitCode).toBe(2);
    expect(failed.stderr).toMatch(/^<stdin>:2:\d+: .*\n {3}\(run\)\)\n +\^\n$/);
  });

  it.each([
    ['a directory that is no store', 'rsync:/etc', '/etc is neither a store nor empty'],
    ['a path where no directory can be', 'rsync:/etc/passwd/store', '/etc/passwd'],
    ['a Btrfs store on another file system', 'btrfs:/dev/shm/snapstep-none', 'Btrfs'],
  ])('3: %s', async (_title, store, message) => {
    const failed = await place.snapstep(['ls', '--store', store]);
    expect(failed).toMatchObject({ exitCode: 3, stdout: '' });
    expect(failed.stderr).toMatch(/^snapstep: /);
    expect(failed.stderr).toContain(message);
    expect(failed.stderr).not.toContain('bug');
  });

  it('2: a sandbox that this machine cannot have', async () => {
    const failed = await place.snapstep(['ls', '--sandbox', 'macos', '--macos-user', 'mac:501:20']);
    expect(failed).toMatchObject({ exitCode: 2, stdout: '' });
    expect(failed.stderr).toBe('snapstep: the macos sandbox needs macOS: there is no "dscl" here\n');
  });

  it.each([
    ['create', ['x', '--script', '/dev/null']],
    ['ls', []],
    ['rm', ['x']],
    ['export', ['x', 'x.image']],
    ['import', ['x', '/dev/null']],
  ])('2: base-image %s where the store holds no images', async (command, args) => {
    const failed = await place.snapstep(['base-image', command, ...args]);
    expect(failed).toMatchObject({ exitCode: 2, stdout: '' });
    expect(failed.stderr).toContain('this store holds no base images of its own: use --store zfs:POOL');
  });

  it('3: a runtime that is not there', async () => {
    const spec = await place.spec('runtime.spec', '(run (shell "true"))');
    const failed = await place.build(spec, '--runtime', 'nosuchrunc');
    expect(failed).toMatchObject({ exitCode: 3, stdout: '' });
    expect(failed.stderr).toContain('nosuchrunc');
  });

  it('3: standard output that cannot be written', async () => {
    const spec = await place.spec('full.spec', '(run (shell "echo a"))');
    expect(await place.build(spec)).toMatchObject({ exitCode: 0 });
    const full = openSync('/dev/full', 'w');
    try {
      const [node, main] = SNAPSTEP;
      const env = { ...process.env, SNAPSTEP_STORE: place.store };
      const { status, stderr } = spawnSync(node, [main, 'ls'], {
        env,
        stdio: ['ignore', full, 'pipe'],
        encoding: 'utf8',
      });
      expect(status).toBe(3);
      expect(stderr).toContain('cannot write the output: ');
    } finally {
      closeSync(full);
    }
  });

  it('P15, P17: 3, at once, and with the pid, while another command has the store', async () => {
    const spec = await place.spec('long.spec', '(run (shell "echo begun; sleep 1000"))');
    const image = `busybox=rootfs:${join(place.path, 'rootfs')}`;
    await using first = running(place, ['build', '-f', spec, '--image', image, '--progress', 'plain']);
    await first.prints('| begun\n');
    const second = await place.snapstep(['ls']);
    expect(second).toMatchObject({ exitCode: 3, stdout: '' });
    expect(second.stderr).toContain(
      `in use by process ${first.pid}: wait until that has ended, or name another --store, which has its own directories`,
    );
  });
});
