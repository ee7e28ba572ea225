import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { expectOk, needs } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { datasetsIn, leftoversIn } from '../support/leftovers.ts';
import { home, key, lookup, openWorld, prepare, read, save, volumeOf } from './support/world.ts';

needs('root', 'openzfs')('a leftover on OpenZFS that is in use', () => {
  it('does not keep the store from opening, nor its key from being built, and goes once it is free (Z1)', async () => {
    await using world = await openWorld();
    await save(world.store, 1, { from: { empty: [home] } });
    await world.store[Symbol.asyncDispose]();
    const left = `${world.dataset}/result/${key(2)}`;
    const at = `${world.directory}/left`;
    await execa('zfs', ['create', '-p', '-o', 'canmount=noauto', '-o', `mountpoint=${at}`, `${left}/home`]);
    await execa('zfs', ['mount', `${left}/home`]);
    await using holder = await processIn(at);

    const store = await world.reopen();
    expect(expectOk(await store.list())).toEqual([key(1)]);
    await save(store, 2, { from: { snapshot: key(1) }, text: 'again' });
    expect(await read(volumeOf(await lookup(store, 2), home))).toBe('again');
    expect((await datasetsIn(world.dataset)).filter((name) => name.startsWith('trash/'))).not.toEqual([]);

    await holder[Symbol.asyncDispose]();
    expectOk(await store.reclaimed());
    expect((await datasetsIn(world.dataset)).filter((name) => name.startsWith('trash/'))).toEqual([]);
    expect(expectOk(await store.list()).toSorted()).toEqual([key(1), key(2)]);
  });

  it('may be a copy that was thrown away while a process was in it', async () => {
    await using world = await openWorld();
    await save(world.store, 1, { from: { empty: [home] } });
    const active = await prepare(world.store, 2, { snapshot: key(1) });
    const mounted = expectOk(await volumeOf(active, home).mount());
    await using holder = await processIn(mounted.path);
    await active[Symbol.asyncDispose]();
    expect(await world.mounts()).toEqual([]);
    await save(world.store, 2, { from: { snapshot: key(1) }, text: 'again' });

    await holder[Symbol.asyncDispose]();
    expectOk(await world.store.reclaimed());
    expect(await leftoversIn(world)).toEqual([]);
    expect(await read(volumeOf(await lookup(world.store, 2), home))).toBe('again');
  });

  it('may be a saved volume that a killed owner left mounted: it is taken away, and can be mounted again', async () => {
    await using world = await openWorld();
    await save(world.store, 1, { from: { empty: [home] } });
    await world.store[Symbol.asyncDispose]();
    await execa('zfs', ['mount', '-o', 'ro', `${world.dataset}/result/${key(1)}/home`]);
    const [at = ''] = await world.mounts();
    await using holder = await processIn(at);

    const store = await world.reopen();
    expect(await world.mounts()).toEqual([]);
    await holder[Symbol.asyncDispose]();
    expect(await read(volumeOf(await lookup(store, 1), home))).toBe('1');
  });
});

/** A process whose working directory this is, until it is disposed. */
async function processIn(cwd: string): Promise<AsyncDisposable> {
  await access(cwd);
  const child = spawn('sleep', ['infinity'], { cwd, stdio: 'ignore' });
  await once(child, 'spawn');
  const ended = once(child, 'exit');
  return {
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
