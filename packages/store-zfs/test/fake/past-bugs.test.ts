import { join } from 'node:path';
import { toHostPath } from '@snapstep/core/backend';
import { expectErr, expectOk } from '@snapstep/test-support';
import { describe, expect, it } from 'vitest';
import { openZfsStore } from '../../src/index.ts';
import { fakeZfs } from './fake-zfs.ts';
import { home, key, mounted, recordedStore, save } from './recorded-store.ts';

describe('what went wrong with other stores on ZFS', () => {
  // A look into `.zfs` mounts a snapshot, and panics or hangs: https://github.com/openzfs/zfs/issues/13131
  it('hides `.zfs` when it is first opened, and has no path and no command into it (Z10)', async () => {
    await using fake = await fakeZfs();
    const [dataset, directory] = [`${fake.name}/store`, toHostPath(join(fake.directory, 'store'))];
    fake.pool.datasets[dataset] = {
      guid: 2,
      properties: { snapdir: 'visible' },
      isMounted: false,
      written: 0,
    };
    await using store = expectOk(await openZfsStore({ dataset, directory }));
    expect(fake.calls().find((call) => call.startsWith('zfs set '))).toContain('snapdir=hidden');
    const { volumes } = await save(store, { key: key(1), from: { empty: [home] } });
    await mounted(volumes.get(home));
    expect(fake.calls().filter((call) => call.includes('.zfs'))).toEqual([]);
  });

  // A corrupt pool was imported again at each start of the machine, which then crashed again.
  it('neither imports nor changes a pool, whatever is asked of it (Z12)', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    await save(place.store, { key: key(2), from: { snapshot: key(1) } });
    expectOk(await place.store.remove(key(2)));
    expectOk(await place.store.reclaimed());
    await place.reopen();
    const asked = place.commands().filter((call) => call.startsWith('zpool '));
    expect(asked.filter((call) => !/^zpool (get|wait|list) /.test(call))).toEqual([]);
  });

  // What the index did not know of went with its parent.
  it('destroys nothing that somebody else has cloned (Z17)', async () => {
    await using place = await recordedStore();
    await save(place.store, { key: key(1), from: { empty: [home] } });
    const { name, pool } = place.fake;
    const origin = `${name}/store/result/${key(1)}/home@snap`;
    const clone = `${name}/mine`;
    pool.datasets[clone] = { guid: 77, properties: {}, isMounted: false, written: 0, origin };
    place.commands();
    expect(expectErr(await place.store.remove(key(1)))).toMatchObject({ type: 'busy' });
    expect(place.commands().filter((call) => / -\w*R/.test(call))).toEqual([]);
    expect(Object.keys(pool.datasets)).toContain(clone);
    expect(expectOk(await place.store.list())).toEqual([key(1)]);
  });

  // Many deletions at once kept everybody from writing: https://github.com/lxc/lxd/issues/9558
  it('destroys no more than four datasets at once (B9)', async () => {
    await using place = await recordedStore();
    const keys = Array.from({ length: 10 }, (_, i) => key(i + 1));
    for (const at of keys) await save(place.store, { key: at, from: { empty: [home] } });
    place.commands();
    place.fake.fail({ on: 'zfs destroy', times: keys.length, hangs: true });
    let begun = 0;
    const begin = (): number => {
      begun += place.commands().filter((call) => call.startsWith('zfs destroy')).length;
      return begun;
    };
    const removed = Promise.all(keys.map((at) => place.store.remove(at)));
    for (const most of [4, 8, 10]) {
      await expect.poll(begin).toBe(most);
      // A whole command later nothing more has begun.
      expectOk(await place.store.usage());
      expect(begin()).toBe(most);
      place.fake.release();
    }
    for (const one of await removed) expectOk(one);
    expect(expectOk(await place.store.list())).toEqual([]);
  });
});
