import assert from 'node:assert/strict';
import { chmod, mkdtemp, readdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { toHostPath } from '@snapstep/core/backend';
import { expectErr } from '@snapstep/test-support';
import { emptyVolume } from '../bind-store.ts';
import { Fixture, HOME, inHome, isThere, withPath } from '../fixture.ts';
import { leftIn, user } from '../suite-place.ts';

/** Whether there is a network that leads anywhere. */
const up = 'if [ "$(wc -l </proc/net/route)" -gt 1 ]; then echo up; else echo down; fi';

describe('the world of a step', () => {
  it('has home and Homebrew in their places, and the Mac as it was after it', async () => {
    await using mac = await Fixture.open();
    const text = await mac.output(
      `echo one >${HOME}/file; echo two >/opt/homebrew/file; pwd; id -un; ls -A ~`,
      {
        cwd: HOME,
      },
    );
    assert.equal(text, `${HOME}\nmac7001\nfile\n`);
    assert.deepEqual(await leftIn(mac.directory), []);
    assert.deepEqual([await readdir(HOME), await readdir('/opt/homebrew')], [[], []]);
  });

  it('has Homebrew at /usr/local, as on Intel, where a firmlink is and no mount', async () => {
    using _path = withPath((directories) => directories.filter((one) => !one.startsWith('/usr/local')));
    await using mac = await Fixture.open({ homebrewPrefix: toHostPath('/usr/local') });
    const text = await mac.output('mkdir /usr/local/bin; ls /usr/local; stat -c %U /usr/local');
    assert.equal(text, 'bin\nmac7001\n');
    assert.deepEqual(await readdir('/usr/local'), []);
  });

  it('makes a cache where its directory is missing, the user’s, and takes the directory away after it (M12)', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes();
    const volume = await emptyVolume(mac.directory, { name: 'cache', owner: user });
    const mounts = [{ volume, target: `${HOME}/.opam/download-cache` }];
    const script =
      'cd ~/.opam && stat -c %U . download-cache && cat download-cache/* 2>/dev/null; echo x >download-cache/x';
    assert.equal(await mac.output(script, { volumes, mounts }), 'mac7001\nmac7001\n');
    assert.equal(await mac.output(script, { volumes, mounts }), 'mac7001\nmac7001\nx\n');
    assert.deepEqual(await inHome(volumes, (path) => readdir(path)), []);
  });

  it('refuses a cache outside of home and Homebrew, which every other user would see', async () => {
    await using mac = await Fixture.open();
    const volume = await emptyVolume(mac.directory, { name: 'cache', owner: user });
    const ran = await mac.run('true', { mounts: [{ volume, target: '/Library/Caches/x' }] });
    assert.match(JSON.stringify(expectErr(ran.result)), /no cache can be mounted there/);
    assert.equal(await isThere('/Library'), false);
    assert.deepEqual(await leftIn(mac.directory), []);
  });

  it('makes the working directory, all of it, as the user, and starts there although su goes home (M14)', async () => {
    await using mac = await Fixture.open();
    const cwd = `${HOME}/a/b/c`;
    assert.equal(await mac.output('pwd; stat -c %U ../..', { cwd }), `${cwd}\nmac7001\n`);
    const outside = await mac.run('true', { cwd: '/src/of/mine' });
    assert.match(JSON.stringify(expectErr(outside.result)), /it is not made there/);
    assert.equal(await isThere('/src'), false);
  });

  it('sources the profile of OBuilder and ours; the variables of the step win', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes();
    await inHome(volumes, async (path) => {
      await writeFile(
        join(path, '.obuilder_profile.sh'),
        'export PATH=/from/obuilder:$PATH A=profile B=profile',
      );
      await writeFile(join(path, '.snapstep_profile.sh'), 'export PATH=/from/snapstep:$PATH');
    });
    const print = 'echo "$PATH $A $B"';
    const { defaultPath } = mac.sandbox;
    assert.equal(
      await mac.output(print, { volumes, env: { PATH: defaultPath, B: 'step' } }),
      `/from/snapstep:/from/obuilder:${defaultPath} profile step\n`,
    );
    assert.equal(await mac.output(print, { volumes, env: { PATH: '/mine' } }), '/mine profile profile\n');
  });

  it('has a TMPDIR of the user’s own, which is empty again for the next step (M7)', async () => {
    await using mac = await Fixture.open();
    const first = await mac.output('echo $TMPDIR; touch $TMPDIR/left');
    assert.match(first, /^\/var\/folders\/zz\/.*\/T\/\n$/);
    assert.equal(await mac.output('ls -A $TMPDIR'), '');
  });

  it('has no network where it asks for none, and says what to do where nothing can keep it from one (M17)', async () => {
    await using mac = await Fixture.open();
    assert.equal(await mac.output(up, { network: 'none' }), 'down\n');
    assert.equal(await mac.output(up), 'up\n');
    const nested = await mac.run("sandbox-exec -p '(version 1)(allow default)' true", { network: 'none' });
    assert.match(nested.text, /sandbox_apply: Operation not permitted/);
    await mac.sandbox[Symbol.asyncDispose]();
    using _without = await withoutSandboxExec();
    await using poor = await Fixture.open();
    const refused = await poor.run(up, { network: 'none' });
    assert.match(JSON.stringify(expectErr(refused.result)), /networkNone: 'unrestricted'/);
    await poor.sandbox[Symbol.asyncDispose]();
    await using open = await Fixture.open({ networkNone: 'unrestricted' });
    assert.equal(await open.output(up, { network: 'none' }), 'up\n');
  });

  it('has no network where it asks for none, also with a profile of one’s own that ends in a comment', async () => {
    await using mac = await Fixture.open({ sandboxProfile: '(version 1)(allow default) ; ours' });
    assert.equal(await mac.output(up, { network: 'none' }), 'down\n');
    assert.equal(await mac.output(up), 'up\n');
  });

  it('refuses limits that a Mac cannot enforce', async () => {
    await using mac = await Fixture.open();
    const ran = await mac.run('echo started', { limits: { memoryBytes: 1 } });
    assert.match(JSON.stringify(expectErr(ran.result)), /memoryBytes/);
    assert.equal(ran.text, '');
  });
});

/** A PATH as on a Mac without the program. */
async function withoutSandboxExec(): Promise<Disposable> {
  const [tools = ''] = (process.env.PATH ?? '').split(':');
  const fewer = await mkdtemp('/Volumes/bin-');
  await chmod(fewer, 0o755);
  const names = (await readdir(tools)).filter((name) => name !== 'sandbox-exec');
  await Promise.all(names.map((name) => symlink(join(tools, name), join(fewer, name))));
  return withPath(([_tools, ...rest]) => [fewer, ...rest]);
}
