import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { runCommand } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { Fixture, isThere } from '../fixture.ts';

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
