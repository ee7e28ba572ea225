import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, it } from 'node:test';
import { runCommand } from '@snapstep/core/backend';
import { expectErr } from '@snapstep/test-support';
import { Fixture, HOME, inHome, type RunMore } from '../fixture.ts';
import { other } from '../suite-place.ts';

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
