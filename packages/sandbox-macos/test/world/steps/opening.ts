import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, rm, rmdir, stat, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { runCommand } from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';
import { Fixture, withPath } from '../fixture.ts';
import { user } from '../suite-place.ts';

describe('opening', () => {
  it('refuses users that are somebody else (M11)', async () => {
    await using mac = await Fixture.open();
    await mac.sandbox[Symbol.asyncDispose]();
    for (const [wrong, message] of [
      [{ name: 'mac7001', uid: 7009, gid: 20 }, /UniqueID 7001, and not 7009/],
      [{ name: 'mac7001', uid: 7001, gid: 80 }, /PrimaryGroupID 20, and not 80/],
      [{ name: 'another', uid: 7001, gid: 20 }, /mac7001 has the number 7001/],
      [{ name: 'mac7003', uid: 500, gid: 20 }, /from 501 on/],
      [{ name: 'mac7003', uid: 0, gid: 20 }, /from 501 on/],
      [{ name: 'mac7003', uid: 7003, gid: 0 }, /cannot be the group/],
      [{ name: 'Shared', uid: 7003, gid: 20 }, /all users share/],
    ] as const) {
      await assert.rejects(Fixture.open({ users: [wrong] }), message);
    }
  });

  it('refuses two users of one name or number, whatever its capital letters', async () => {
    for (const second of [
      { name: 'other', uid: 7001, gid: 20 },
      { name: 'MAC7001', uid: 7009, gid: 20 },
    ]) {
      await assert.rejects(Fixture.open({ users: [user, second] }), /two users have one name or one number/);
    }
  });

  it('refuses the account of a person, also by its number', async () => {
    const create = (name: string, key: string, value: string) =>
      runCommand('dscl', ['.', '-create', `/Users/${name}`, key, value]);
    for (const [key, value] of [
      ['PrimaryGroupID', '20'],
      ['NFSHomeDirectory', '/Users/joe'],
      ['AuthenticationAuthority', ';ShadowHash;HASHLIST:<SALTED-SHA512-PBKDF2>'],
      ['UniqueID', '501'],
    ] as const) {
      expectOk(await create('joe', key, value));
    }
    const joe = { name: 'joe', uid: 501, gid: 20 };
    await assert.rejects(Fixture.open({ users: [joe] }), /somebody's account/);
    await assert.rejects(Fixture.open({ users: [{ ...joe, name: 'mac501' }] }), /joe has the number 501/);
    expectOk(await create('joe', 'UniqueID', '7001'));
    await assert.rejects(Fixture.open(), /joe has the number 7001/);
    expectOk(await create('joe', 'UniqueID', '501'));
  });

  it('finishes a user that could not be made whole for lack of full disk access (M7)', async () => {
    await writeFile('/private/var/db/no-full-disk-access', '');
    const users = [{ name: 'mac7004', uid: 7004, gid: 20 }];
    await assert.rejects(Fixture.open({ users }), /needs full disk access/);
    await rm('/private/var/db/no-full-disk-access');
    await using _mac = await Fixture.open({ users });
  });

  it('refuses a PATH in which root would find what a step has installed', async () => {
    await symlink('/opt/homebrew/bin', '/Volumes/link');
    await mkdir('/opt/homebrew/bin');
    for (const directory of [
      '/opt/homebrew/bin',
      '/Users/mac7001/bin',
      '/OPT/Homebrew/sbin',
      '/Volumes/link',
    ]) {
      using _path = withPath((directories) => [directory, ...directories]);
      await assert.rejects(Fixture.open(), /root would run what a step has put there/, directory);
    }
    await rmdir('/opt/homebrew/bin');
  });

  it('refuses places that a volume would hide, or that users cannot pass (M4)', async () => {
    await assert.rejects(Fixture.open({ homebrewPrefix: '/Volumes' as never }), /would be hidden/);
    await assert.rejects(Fixture.open({ stateDir: '/root/state' as never }), /cannot pass through \/root/);
  });

  it('ends a login session that a dead owner was about to begin', async () => {
    await using mac = await Fixture.open();
    await mac.sandbox[Symbol.asyncDispose]();
    const record = { ...user, ownDirs: [], kept: [] };
    await writeFile(join(mac.stateDir, 'runs', `${user.name}.json`), `${JSON.stringify(record)}\n`);
    // It looks like su(1), which is root's until it has looked up the user.
    const slowly = `$0 = "su -l ${user.name} -c sleep"; select(undef, undef, undef, 1);`;
    const begins = `exec "setpriv", "--reuid", "${user.uid}", "--clear-groups", "sleep", "30"`;
    const su = spawn('perl', ['-e', `${slowly} ${begins}`], { stdio: 'ignore' });
    await Promise.race([once(su, 'exit'), delay(300)]);
    assert.equal(su.exitCode, null);
    await using _again = await Fixture.open({ stateDir: mac.stateDir });
    await delay(1500);
    // It exits with 1 where it finds nothing.
    assert.equal(spawnSync('pgrep', ['-U', `${user.uid}`]).status, 1);
  });

  it('is refused to a second owner', async () => {
    await using mac = await Fixture.open();
    await assert.rejects(Fixture.open({ stateDir: mac.stateDir }), /in use by process/);
    assert.equal((await stat(mac.stateDir)).mode & 0o777, 0o711);
  });
});
