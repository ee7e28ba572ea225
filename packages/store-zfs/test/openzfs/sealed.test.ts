import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { leftoversIn } from '../support/leftovers.ts';
import { home, key, lookup, openWorld, prepare, read, save, volumeOf, write } from './support/world.ts';

needs('root', 'openzfs')('a saved volume on OpenZFS', () => {
  it('is what was saved, also for who mounts it while it is still mounted since before', async () => {
    await using world = await openWorld();
    await using active = await prepare(world.store, 1, { empty: [home] });
    await write(volumeOf(active, home), 'saved');
    await using early = expectOk(await volumeOf(active, home).mount());
    expectOk(await active.commit());
    await writeFile(join(early.path, 'step'), 'late');
    const saved = await lookup(world.store, 1);
    expect(await read(volumeOf(saved, home))).toBe('saved');
    await early[Symbol.asyncDispose]();
    expect(await world.mounts()).toEqual([]);
    const store = await world.reopen();
    expect(await read(volumeOf(await lookup(store, 1), home))).toBe('saved');
    expect(await leftoversIn(world)).toEqual([]);
  });

  it('is built again where somebody else destroyed it', async () => {
    await using world = await openWorld();
    await save(world.store, 1, { from: { empty: [home] } });
    await execa('zfs', ['destroy', '-r', `${world.dataset}/result/${key(1)}/home`]);
    const { signal } = new AbortController();
    const refused = await world.store.prepare({ key: key(2), from: { snapshot: key(1) }, signal });
    expect(refused.isErr() && refused.error).toMatchObject({ type: 'not-found', key: key(1) });
    await save(world.store, 1, { from: { empty: [home] }, text: 'again' });
    await save(world.store, 2, { from: { snapshot: key(1) } });
    expect(await read(volumeOf(await lookup(world.store, 1), home))).toBe('again');
    expect(await leftoversIn(world)).toEqual([]);
  });

  it('can be made in a pool that lets no program run', async () => {
    await using world = await openWorld();
    await execa('zfs', ['set', 'exec=off', 'setuid=off', 'devices=off', world.dataset.split('/')[0] ?? '']);
    const store = await world.reopen();
    const active = await prepare(store, 1, { empty: [home] });
    await using mounted = expectOk(await volumeOf(active, home).mount());
    await execa('cp', ['/bin/true', join(mounted.path, 'true')]);
    await execa(join(mounted.path, 'true'));
    await active[Symbol.asyncDispose]();
  });
});
