/** What a step on a Mac gets, and what it leaves. Started by sandbox.test.ts. */
import assert from 'node:assert/strict';
import { access, chmod, lstat, mkdtemp, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand, toVolumeName, type Volumes } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { emptyVolume } from './bind-store.ts';
import { Fixture, type RunMore } from './fixture.ts';
import { leftIn, user, users } from './suite-place.ts';

const [, other] = users;
const HOME = '/Users/mac7001';
const value = Buffer.from('sw0rdfish');

async function inHome<T>(volumes: Volumes, look: (path: string) => Promise<T>): Promise<T> {
  const mounted = expectOk((await volumes.get(toVolumeName('home'))?.mount()) ?? assert.fail('no home'));
  return look(mounted.path);
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

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
    const up = 'if [ "$(wc -l </proc/net/route)" -gt 1 ]; then echo up; else echo down; fi';
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

  it('refuses limits that a Mac cannot enforce', async () => {
    await using mac = await Fixture.open();
    const ran = await mac.run('echo started', { limits: { memoryBytes: 1 } });
    assert.match(JSON.stringify(expectErr(ran.result)), /memoryBytes/);
    assert.equal(ran.text, '');
  });
});

describe('secrets', () => {
  it('are there for the user alone, two of one basename too, and gone after a failure (S3, S4)', async () => {
    await using mac = await Fixture.open();
    const secrets = ['/run/secrets/token', `${HOME}/.config/token`].map((target) => ({ target, value }));
    const controller = new AbortController();
    const ready = Promise.withResolvers<string>();
    const first = mac.run(
      'ls -d $SNAPSTEP_SECRETS_DIR; cat $SNAPSTEP_SECRETS_DIR/run/secrets/token; sleep 1000',
      {
        secrets,
        signal: controller.signal,
        volumes: await mac.home(),
        onOutput: (text) => text.includes('sw0rdfish') && ready.resolve(text.split('\n')[0] ?? ''),
      },
    );
    const directory = await ready.promise;
    const spy = await mac.run(
      `cat ${directory}/run/secrets/token; ls ${directory} ${directory}/..; pkill -KILL -U 7001`,
      {
        user: other,
        volumes: await mac.home(other),
      },
    );
    assert.doesNotMatch(spy.text, /sw0rdfish/);
    assert.match(spy.text, /Permission denied[\s\S]*signalling pid \d+: Operation not permitted/);
    controller.abort('enough');
    assert.equal(expectErr((await first).result).type, 'cancelled');
    const both = 'cd $SNAPSTEP_SECRETS_DIR; cat run/secrets/token Users/mac7001/.config/token; exit 3';
    const failed = await mac.run(both, { secrets });
    assert.equal(failed.text, 'sw0rdfishsw0rdfish');
    assert.deepEqual(await leftIn(mac.directory), []);
  });

  it('cannot be read by what a step before has left running (S3)', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes();
    const search =
      'while :; do cat /Volumes/steps-*/state/steps/*/secrets/token >>~/stolen 2>/dev/null; done';
    await mac.output(`(setsid nohup bash -c '${search}' >/dev/null 2>&1 &); sleep 0.2`, { volumes });
    const secrets = [{ target: '/token', value }];
    assert.equal(await mac.output('sleep 0.3; cat ~/stolen', { volumes, secrets }), '');
  });
});

describe('what a step leaves', () => {
  it('is ended or removed: daemons, jobs of launchd, crontab, files, shared memory (M3, M10)', async () => {
    await using mac = await Fixture.open();
    const leave = `(setsid nohup sh -c 'trap "" TERM HUP; while :; do sleep 1000; done' >/dev/null 2>&1 &)
      launchctl submit -l job -- /bin/sleep 1000
      echo '* * * * * true' | crontab -
      touch /private/tmp/left $TMPDIR/left /Users/Shared/left; mkdir /private/var/tmp/left; echo x >/private/var/tmp/left/x
      ipcmk --shmem 4096 >/dev/null; until pgrep -U 7001 >/dev/null; do :; done; sleep 0.3; pgrep -U 7001 | wc -l`;
    const processes = await mac.output(leave);
    assert.ok(Number(processes) >= 5, processes);
    for (const path of ['/private/tmp', '/Users/Shared', '/private/var/tmp'].map(
      (place) => `${place}/left`,
    )) {
      assert.equal(await isThere(path), false, path);
    }
    assert.equal(await isThere('/private/var/at/tabs/mac7001'), false);
    assert.equal(await isThere('/private/var/run/launchd/7001'), false);
    assert.doesNotMatch(expectOk(await runCommand('ipcs', [])), /mac7001/);
    assert.match(expectErr(await runCommand('pgrep', ['-U', '7001'])).type, /failed/);
  });

  it('of others stays', async () => {
    await using mac = await Fixture.open();
    await writeFile('/private/tmp/of-root', 'x');
    await mac.output('ln -s /private/tmp/of-root /private/tmp/link');
    assert.deepEqual(
      [await isThere('/private/tmp/of-root'), await isThere('/private/tmp/link')],
      [true, false],
    );
  });

  it('is no success where the whole session was killed, although su says 0', async () => {
    await using mac = await Fixture.open();
    const { result } = await mac.run('kill -9 -1');
    assert.deepEqual(expectOk(result), { type: 'signalled', signal: 'SIGKILL' });
  });
});

describe('the pool of users', () => {
  it('runs steps without Homebrew at once, and with it one after the other (M15)', async () => {
    await using mac = await Fixture.open();
    const meet = (mine: string, theirs: string) =>
      `touch /private/tmp/${mine}; i=0; until [ -e /private/tmp/${theirs} ] || [ $((i+=1)) = 60 ]; do sleep 0.05; done; sleep 0.3; [ $i -lt 60 ]`;
    const pair = async (volumes: (owner: typeof user | typeof other) => Promise<Volumes>) => {
      const ran = await Promise.all([
        mac.run(meet('a', 'b'), { volumes: await volumes(user) }),
        mac.run(meet('b', 'a'), { volumes: await volumes(other), user: other }),
      ]);
      return ran.map(({ result }) => expectOk(result)).map((exit) => exit.type === 'exited' && exit.code);
    };
    assert.deepEqual(await pair((owner) => mac.home(owner)), [0, 0]);
    assert.deepEqual(await pair((owner) => mac.volumes(owner)), [1, 1]);
  });

  it('leaves the queue for Homebrew when it is aborted, and starts nothing', async () => {
    await using mac = await Fixture.open();
    const [first, second] = [new AbortController(), new AbortController()];
    const ready = Promise.withResolvers<void>();
    const holds = mac.run('echo go; sleep 1000', { signal: first.signal, onOutput: () => ready.resolve() });
    await ready.promise;
    const waits = mac.run('echo started', {
      user: other,
      volumes: await mac.volumes(other),
      signal: second.signal,
    });
    second.abort('no longer wanted');
    const { result, text } = await waits;
    assert.deepEqual([expectErr(result), text], [{ type: 'cancelled', reason: 'no longer wanted' }, '']);
    first.abort('enough');
    await holds;
    assert.equal(await mac.output('echo next', { user: other, volumes: await mac.volumes(other) }), 'next\n');
  });

  it('answers for root with the user that the home directory was made for, and with no other', async () => {
    await using mac = await Fixture.open();
    const { sandbox } = mac;
    const volumes = await mac.volumes(other);
    const account = { uid: 7002, gid: 20, home: '/Users/mac7002' };
    assert.deepEqual(expectOk(await sandbox.account({ uid: 0, gid: 0 }, volumes)), account);
    assert.deepEqual(expectOk(await sandbox.account({ name: 'mac7002' }, volumes)), account);
    assert.equal(expectOk(await sandbox.account({ name: 'mac7001' }, volumes)), undefined);
    assert.equal(expectOk(await sandbox.account({ uid: 7001, gid: 20 }, volumes)), undefined);
    const strange = await sandbox.account({ uid: 0, gid: 0 }, await mac.volumes({ uid: 4711, gid: 20 }));
    assert.match(JSON.stringify(expectErr(strange)), /4711/);
  });

  it('gives a home directory that nobody has yet to a user, if it is empty', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.volumes({ uid: 0, gid: 0 });
    expectOk(await mac.sandbox.account({ name: 'mac7002' }, volumes));
    assert.equal((await inHome(volumes, (path) => lstat(path))).uid, 7002);
    const full = await mac.volumes({ uid: 0, gid: 0 });
    await inHome(full, (path) => writeFile(join(path, 'file'), ''));
    assert.match(JSON.stringify(expectErr(await mac.sandbox.account({ uid: 0, gid: 0 }, full))), /not empty/);
  });

  it('says where paths lie', async () => {
    await using mac = await Fixture.open();
    const places = [
      '/Users/mac7002/x',
      '/Users/mac7001/',
      '/opt/homebrew/bin/a',
      '/Users/mac70011/x',
      '/etc/x',
    ];
    const found = places.map((path) => mac.sandbox.locate(path)).map((at) => at && `${at.volume}:${at.path}`);
    assert.deepEqual(found, ['home:/x', 'home:/', 'brew:/bin/a', undefined, undefined]);
  });
});

describe('a volume that stays busy', () => {
  it('is an answer, not a wait; its user is used no more, and the others are (Z11)', async () => {
    await using mac = await Fixture.open();
    const volumes = await mac.home();
    const controller = new AbortController();
    await inHome(volumes, (path) => writeFile(join(path, 'file'), ''));
    let holder: Promise<unknown> = Promise.resolve();
    const more: RunMore = {
      volumes,
      // Root's, which no step can be blamed for: Spotlight, a shell of the administrator.
      onOutput: () => {
        holder = runCommand('sleep', ['1000'], { cwd: HOME, signal: controller.signal });
      },
    };
    const stuck = expectErr((await mac.run('echo go; sleep 0.3', more)).result);
    assert.deepEqual([stuck.type, 'needsReboot' in stuck && stuck.needsReboot], ['stuck', true]);
    assert.match('message' in stuck ? stuck.message : '', /\/Users\/mac7001 cannot be unmounted/);
    const refused = await mac.run('echo started', { volumes: await mac.home() });
    assert.deepEqual([expectErr(refused.result).type, refused.text], ['stuck', '']);
    const free = await mac.output('echo free', { user: other, volumes: await mac.volumes(other) });
    assert.equal(free, 'free\n');
    controller.abort('enough');
    await holder;
  });
});

describe('opening', () => {
  it('refuses users that are somebody else (M11)', async () => {
    await using mac = await Fixture.open();
    await mac.sandbox[Symbol.asyncDispose]();
    for (const [wrong, message] of [
      [{ name: 'mac7001', uid: 7009, gid: 20 }, /UniqueID 7001, and not 7009/],
      [{ name: 'mac7001', uid: 7001, gid: 80 }, /PrimaryGroupID 20, and not 80/],
      [{ name: 'another', uid: 7001, gid: 20 }, /mac7001 has the number 7001/],
    ] as const) {
      await assert.rejects(Fixture.open({ users: [wrong] }), message);
    }
  });

  it('refuses places that a volume would hide, or that users cannot pass (M4)', async () => {
    await assert.rejects(Fixture.open({ homebrewPrefix: '/Volumes' as never }), /would be hidden/);
    await assert.rejects(Fixture.open({ stateDir: '/root/state' as never }), /cannot pass through \/root/);
  });

  it('is refused to a second owner', async () => {
    await using mac = await Fixture.open();
    await assert.rejects(Fixture.open({ stateDir: mac.stateDir }), /in use by process/);
    assert.equal((await stat(mac.stateDir)).mode & 0o777, 0o711);
  });
});

/** A PATH as on a Mac without the program. */
async function withoutSandboxExec(): Promise<Disposable> {
  const before = process.env.PATH;
  const [tools = '', ...rest] = (before ?? '').split(':');
  const fewer = await mkdtemp('/Volumes/bin-');
  await chmod(fewer, 0o755);
  const names = (await readdir(tools)).filter((name) => name !== 'sandbox-exec');
  await Promise.all(names.map((name) => symlink(join(tools, name), join(fewer, name))));
  process.env.PATH = [fewer, ...rest].join(':');
  return {
    [Symbol.dispose]() {
      process.env.PATH = before;
    },
  };
}
