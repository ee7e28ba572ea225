import assert from 'node:assert/strict';
import { chmod, lstat, mkdir, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { emptyVolume } from '../bind-store.ts';
import { Fixture, HOME, inHome, isThere } from '../fixture.ts';
import { leftIn, other, user } from '../suite-place.ts';

const profile = '.snapstep_profile.sh';

describe('a home directory that is not friendly', () => {
  it('may have a profile that exits, which is said and is no success', async () => {
    await using mac = await Fixture.open();
    for (const code of [0, 7]) {
      const volumes = await mac.volumes();
      await inHome(volumes, (path) => writeFile(join(path, profile), `exit ${code}`));
      const { result, text } = await mac.run('echo ran', { volumes });
      assert.deepEqual(expectOk(result), { type: 'exited', code: 125 });
      assert.match(text, /the command was not run, since \/Users\/mac7001\/\.snapstep_profile\.sh ended/);
    }
  });

  it('may have a profile that reads, changes IFS and options, or a syntax error in it', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes();
    const stdin = () => new Blob(['for the command']).stream();
    await inHome(volumes, (path) => writeFile(join(path, profile), 'cat; IFS=/s; set -efu; cd /; umask 077'));
    const { text, result } = await mac.run('pwd; cat; exit 3', { volumes, cwd: HOME, stdin: stdin() });
    assert.deepEqual([text, expectOk(result)], [`${HOME}\nfor the command`, { type: 'exited', code: 3 }]);
    await inHome(volumes, (path) => writeFile(join(path, profile), 'if then fi ('));
    const broken = await mac.run('echo ran', { volumes });
    assert.notDeepEqual(expectOk(broken.result), { type: 'exited', code: 0 });
  });

  it('may have a profile that hangs, until the time is up', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes();
    await inHome(volumes, (path) =>
      writeFile(join(path, profile), 'trap "" TERM; while :; do sleep 1; done'),
    );
    const { result } = await mac.run('echo ran', { volumes, limits: { timeoutMs: 500 } });
    assert.deepEqual(expectOk(result), { type: 'limit-exceeded', limit: 'timeoutMs' });
    assert.deepEqual(await leftIn(mac.directory), []);
  });

  it('may have links where a profile, a cache or the working directory is', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes();
    await mkdir('/private/outside');
    await inHome(volumes, async (path) => {
      await symlink('/private/outside', join(path, 'link'));
      await symlink('/private/outside/profile', join(path, profile));
    });
    const volume = await emptyVolume(mac.directory, { name: 'cache', owner: user });
    const mounts = [{ volume, target: `${HOME}/link/cache` }];
    const cache = await mac.run('true', { volumes, mounts });
    assert.match(JSON.stringify(expectErr(cache.result)), /leads to \/private\/outside\/cache, outside of/);
    const cwd = await mac.run('true', { volumes, cwd: `${HOME}/link/made` });
    assert.match(JSON.stringify(expectErr(cwd.result)), /leads to \/private\/outside\/made/);
    assert.equal(await isThere('/private/outside/cache'), false);
    assert.equal(await mac.output('echo ran', { volumes }), 'ran\n');
  });

  it('may be closed to its own user, who is then told so', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes();
    await mac.output('chmod 0 ~', { volumes });
    const { result, text } = await mac.run('echo ran', { volumes });
    assert.deepEqual(expectOk(result), { type: 'exited', code: 1 });
    assert.match(text, /su: no directory/);
    await inHome(volumes, (path) => chmod(path, 0o755));
    assert.equal(await mac.output('echo ran', { volumes }), 'ran\n');
  });
});

describe('a command that is not friendly', () => {
  it('cannot make us wait for, or read, what it puts in the place of its exit code', async () => {
    await using mac = await Fixture.open();
    const place = 'cd "$SNAPSTEP_SECRETS_DIR/.."';
    const secrets = [{ target: '/token', value: Buffer.from('x') }];
    for (const trick of ['mkfifo exit', 'ln -s /dev/zero exit', 'mkdir exit', 'ln -s /private/code exit']) {
      await writeFile('/private/code', '0\n', { mode: 0o600 });
      const { result } = await mac.run(`${place}; ${trick}; kill -9 $PPID`, { secrets });
      assert.deepEqual(expectOk(result), { type: 'signalled', signal: 'SIGKILL' }, trick);
    }
    assert.deepEqual(await leftIn(mac.directory), []);
  });

  it('cannot keep its volumes mounted by a file that is not to be removed beside its secrets', async () => {
    await using mac = await Fixture.open();
    const secrets = [{ target: '/token', value: Buffer.from('x') }];
    const places = join(mac.stateDir, 'steps');
    let fixed: Promise<unknown> = Promise.resolve();
    const onOutput = () => {
      fixed = readdir(places).then(([place = '']) => runCommand('chattr', ['+i', join(places, place, 'x')]));
    };
    const script =
      'touch "$SNAPSTEP_SECRETS_DIR/../x"; echo go; sleep 0.5; chmod 777 "$SNAPSTEP_SECRETS_DIR/.."';
    expectOk((await mac.run(script, { secrets, onOutput })).result);
    await fixed;
    assert.deepEqual(await leftIn(mac.directory), []);
  });

  it('cannot make us mount, or make anything, on the Mac while it swaps a directory of another user for a link (C9)', async () => {
    await using mac = await Fixture.open();
    await mkdir('/private/target', { recursive: true });
    const stop = new AbortController();
    const ready = Promise.withResolvers<void>();
    const swap = `echo go; cd /; while :; do mv -T ${HOME}/d ${HOME}/e; ln -s /private/target ${HOME}/d; rm -f ${HOME}/d; mv -T ${HOME}/e ${HOME}/d; done 2>/dev/null`;
    const volumes = await mac.home(other);
    const onOutput = () => ready.resolve();
    const swaps = mac.run(swap, { user: other, volumes, signal: stop.signal, onOutput });
    await ready.promise;
    for (let round = 0; round < 12; round += 1) {
      const open = await mac.home();
      await inHome(open, async (path) => {
        await mkdir(join(path, 'd'));
        await Promise.all([chmod(path, 0o777), chmod(join(path, 'd'), 0o777)]);
      });
      const volume = await emptyVolume(mac.directory, { name: 'cache', owner: user });
      const mounts = [{ volume, target: `${HOME}/d/a/b` }];
      const { result } = await mac.run('stat -c %a ~', { volumes: open, mounts, cwd: `${HOME}/d/x/y` });
      if (result.isOk()) assert.equal(result.value.type, 'exited');
      assert.deepEqual(await readdir('/private/target'), []);
    }
    stop.abort('enough');
    await swaps;
    assert.deepEqual(await leftIn(mac.directory), []);
    const mode = await mac.home();
    await inHome(mode, (path) => chmod(path, 0o751));
    assert.equal(await mac.output('stat -c %a ~; chmod 1710 ~', { volumes: mode }), '751\n');
    assert.equal(await inHome(mode, async (path) => (await lstat(path)).mode & 0o7777), 0o1710);
  });

  it('cannot outrun its end by starting processes', { timeout: 120_000 }, async () => {
    await using mac = await Fixture.open();
    const bomb = `trap '' TERM HUP; b() { trap '' TERM HUP; (setsid bash -c "$(declare -f b); b" &); sleep 0.05; b; }`;
    const { result } = await mac.run(`ulimit -u 400; ${bomb}; b`, { limits: { timeoutMs: 1000 } });
    assert.deepEqual(expectOk(result), { type: 'limit-exceeded', limit: 'timeoutMs' });
    assert.deepEqual(await leftIn(mac.directory), []);
    assert.equal(await mac.output('echo next'), 'next\n');
  });

  it('may leave directories that are deeper than any path is long', async () => {
    await using mac = await Fixture.open();
    const name = 'd'.repeat(200);
    await mac.output(`cd /private/tmp; for i in $(seq 60); do mkdir ${name} && cd ${name} || exit; done`);
    assert.equal(await isThere(join('/private/tmp', name)), false);
  });

  it('may leave files of any name', async () => {
    await using mac = await Fixture.open();
    const names = ['-rf', 'a\nb', '*', '$(touch x)', '"', "'", '\\', ' ', 'x'.repeat(255)];
    const args = names.map((name) => `'${name.replaceAll("'", "'\\''")}'`).join(' ');
    await mac.output(`cd /private/tmp && mkdir -p -- ${args} && for d in ${args}; do >"./$d/$d"; done`);
    const left = await Promise.all(names.map((name) => isThere(join('/private/tmp', name))));
    assert.deepEqual(
      left,
      names.map(() => false),
    );
  });
});

describe('what is given to a command', () => {
  it('is what was meant, whatever it holds', async () => {
    await using mac = await Fixture.open();
    const env = { PATH: '/usr/bin:/bin', Q: `a'b"c`, L: 'a\nb\n', E: '=x=', D: '$HOME `id` $(id)', U: 'ü€' };
    const text = await mac.output('printf "%s|" "$Q" "$L" "$E" "$D" "$U"', { env });
    assert.equal(text, [env.Q, env.L, env.E, env.D, env.U, ''].join('|'));
  });

  it('is refused where a secret lies below another, and nothing of it stays', async () => {
    await using mac = await Fixture.open();
    const value = Buffer.from('sw0rdfish');
    for (const targets of [
      ['/a', '/a/b'],
      ['/a', '/a'],
      ['/a', '/b/../A'],
    ]) {
      const secrets = targets.map((target) => ({ target, value }));
      const { result } = await mac.run('echo started', { secrets });
      assert.match(JSON.stringify(expectErr(result)), /the secrets at .* cannot both be files/);
      assert.deepEqual(await leftIn(mac.directory), []);
    }
    const out = [{ target: '../../../out', value }];
    assert.equal(await mac.output('cat $SNAPSTEP_SECRETS_DIR/out', { secrets: out }), 'sw0rdfish');
    assert.equal((await lstat(mac.stateDir)).isDirectory(), true);
  });
});
