import assert from 'node:assert/strict';
import { lstat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import type { Volumes } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { Fixture, inHome } from '../fixture.ts';
import { other, user } from '../suite-place.ts';

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

  it('runs a step without Homebrew while another one of the same user waits for it', async () => {
    await using mac = await Fixture.open();
    const first = new AbortController();
    const ready = Promise.withResolvers<void>();
    const holds = mac.run('echo go; sleep 1000', { signal: first.signal, onOutput: () => ready.resolve() });
    await ready.promise;
    const volumes = await mac.volumes(other);
    const waits = mac.run('echo waited', { user: other, volumes });
    assert.equal(await mac.output('echo home', { user: other, volumes: await mac.home(other) }), 'home\n');
    first.abort('enough');
    assert.equal((await waits).text, 'waited\n');
    await holds;
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
    const message = 'cancelled: no longer wanted';
    assert.deepEqual(
      [expectErr(result), text],
      [{ type: 'cancelled', reason: 'no longer wanted', message }, ''],
    );
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
