import assert from 'node:assert/strict';
import { stat } from 'node:fs/promises';
import { describe, it } from 'node:test';
import { Fixture } from '../fixture.ts';

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
