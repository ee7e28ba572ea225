import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, chown, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { Fixture, HOME, inHome, isThere } from '../fixture.ts';
import { leftIn, user } from '../suite-place.ts';

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

  it('is removed beside the own directories too, which have their modes again', async () => {
    await using mac = await Fixture.open();
    await mac.output('echo x >"$(dirname "$TMPDIR")/left"; chmod 777 "$TMPDIR" "$(dirname "$TMPDIR")"');
    const text = await mac.output('cd "$TMPDIR"; ls -A ..; stat -c %a . ..');
    assert.equal(text, '0\nC\nT\n700\n755\n');
  });

  it('is removed although it is immutable, or a directory of another user lies in it', async () => {
    await using mac = await Fixture.open();
    await mkdir('/private/tmp/left/theirs', { recursive: true });
    await writeFile('/private/tmp/left/theirs/fixed', '');
    await Promise.all([chown('/private/tmp/left', 7001, 20), chown('/private/tmp/left/theirs', 7002, 20)]);
    expectOk(await runCommand('chattr', ['+i', '/private/tmp/left/theirs/fixed']));
    await mac.output('true');
    assert.equal(await isThere('/private/tmp/left'), false);
  });

  it('is only told where others could put a link in the place of a directory meanwhile', async () => {
    await using mac = await Fixture.open();
    await mkdir('/private/tmp/everybody');
    await chmod('/private/tmp/everybody', 0o777);
    const warned = once(process, 'warning');
    await mac.output('cd /private/tmp/everybody; mkdir directory; touch file');
    const [{ message }] = await warned;
    assert.match(message, /everybody\/directory \(others may put a link in its place\)/);
    assert.equal(await isThere('/private/tmp/everybody/file'), false);
    await rm('/private/tmp/everybody', { recursive: true });
  });

  it('is not looked for in what is mounted in a shared place', async () => {
    await using mac = await Fixture.open();
    const places = ['/private/tmp/mounted', '/private/tmp/theirs/mounted'];
    for (const place of places) {
      await mkdir(place, { recursive: true });
      expectOk(await runCommand('mount', ['-t', 'tmpfs', '-o', 'mode=1777', 'disk', place]));
      await writeFile(`${place}/file`, '');
      await chown(`${place}/file`, 7001, 20);
    }
    await chown('/private/tmp/theirs', 7001, 20);
    const warned = once(process, 'warning');
    await mac.output('true');
    const [{ message }] = await warned;
    assert.match(message, /theirs\/mounted \(another file system is mounted there\)/);
    for (const place of places) {
      assert.equal(await isThere(`${place}/file`), true, place);
      expectOk(await runCommand('umount', [place]));
    }
    await rm('/private/tmp/theirs', { recursive: true });
  });

  it('is not looked for in a store that lies in a shared place, nor in the state of the sandbox', async () => {
    await using mac = await Fixture.open({}, '/private/tmp');
    await chmod(mac.directory, 0o1777);
    const saved = await mac.volumes();
    await inHome(saved, (path) => writeFile(join(path, 'file'), 'saved'));
    const volumes = await mac.volumes();
    expectOk(await mac.sandbox.account(user, volumes));
    await mac.output('true', { volumes });
    assert.equal(await inHome(saved, (path) => readFile(join(path, 'file'), 'utf8')), 'saved');
    assert.equal(await mac.output('cat ~/file', { volumes: saved }), 'saved');
  });

  it('is detached where it is a disk image, in his home directory too, which could not be unmounted else', async () => {
    await using mac = await Fixture.open();
    const attach = (place: string) => `mkdir -p ${place} && hdiutil attach x.dmg -mountpoint ${place}`;
    const places = [`${HOME}/image`, '/private/tmp/image', `${HOME}/image/another`];
    const text = await mac.output(
      `${places.map(attach).join(' && ')} && mount | grep -c 'mounted by mac7001'`,
    );
    assert.equal(text, '3\n');
    assert.deepEqual(await leftIn(mac.directory), []);
    assert.equal(await isThere('/private/tmp/image'), false);
    assert.equal(await mac.output('mount | grep -c mac7001 || true'), '1\n');
  });

  it('is no success where the whole session was killed, although su says 0', async () => {
    await using mac = await Fixture.open();
    const { result } = await mac.run('kill -9 -1');
    assert.deepEqual(expectOk(result), { type: 'signalled', signal: 'SIGKILL' });
  });
});
