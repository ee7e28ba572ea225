import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { expectOk, needs, tempDir } from '@snapstep/test-support';
import { execa } from 'execa';
import { expect, it } from 'vitest';
import { datasetsIn, leftoversIn } from '../support/leftovers.ts';
import { brew, home, key, lookup, openWorld, read, save, volumeOf, type World } from './support/world.ts';

needs('root', 'openzfs')('a store on OpenZFS whose owner was killed', () => {
  it('has no snapshot whose volumes were cloned but not saved, and makes it the next time (Z15)', async () => {
    await using world = await openWorld();
    await save(world.store, 1, { from: { empty: [home, brew] } });
    await world.store[Symbol.asyncDispose]();
    await killBefore('snapshot *', { world, parent: 1, number: 2 });
    const result = `result/${key(2)}`;
    const left = (await datasetsIn(world.dataset)).filter((name) => name.startsWith(result));
    expect(left.sort()).toEqual([result, `${result}/brew`, `${result}/home`]);

    const store = await world.reopen();
    expect(await leftoversIn(world)).toEqual([]);
    expect(expectOk(await store.lookup(key(2)))).toBeUndefined();
    await save(store, 2, { from: { snapshot: key(1) }, text: 'again' });
    const saved = await lookup(store, 2);
    expect(await read(volumeOf(saved, home))).toBe('again');
    expect(await read(volumeOf(saved, brew))).toBe('again');
  });

  it('has nothing of a copy of which only the first volume was cloned', async () => {
    await using world = await openWorld();
    await save(world.store, 1, { from: { empty: [home, brew] } });
    await world.store[Symbol.asyncDispose]();
    await killBefore('clone */brew', { world, parent: 1, number: 2 });
    const store = await world.reopen();
    expect(await leftoversIn(world)).toEqual([]);
    expect(expectOk(await store.list())).toEqual([key(1)]);
    expect(await read(volumeOf(await lookup(store, 1), brew))).toBe('1');
  });
});

interface Killing {
  readonly world: World;
  readonly parent: number;
  readonly number: number;
}

/** Kills a process that saves a snapshot when it is about to start a command of zfs that the pattern matches. */
async function killBefore(command: string, { world, parent, number }: Killing): Promise<void> {
  await using dir = await tempDir();
  await mkdir(join(dir.path, 'bin'));
  const zfs = join(dir.path, 'bin/zfs');
  await copyFile(join(import.meta.dirname, 'support/stopping-zfs.sh'), zfs);
  await chmod(zfs, 0o755);
  const stopped = join(dir.path, 'stopped');
  await execa('mkfifo', [stopped]);
  const script = join(import.meta.dirname, 'support/save-process.ts');
  const args = [script, world.dataset, world.directory, `${parent}`, `${number}`];
  const { stdout: real } = await execa('which', ['zfs']);
  const env = {
    ...process.env,
    PATH: `${join(dir.path, 'bin')}:${process.env.PATH}`,
    STOP_BEFORE: command,
    STOPPED: stopped,
    REAL_ZFS: real,
  };
  const child = spawn(process.execPath, args, {
    env,
    detached: true,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const ended = once(child, 'exit');
  const early = new AbortController();
  ended.then(
    ([code, by]) => early.abort(new Error(`it ended with ${code ?? by} before zfs ${command}`)),
    (error: unknown) => early.abort(error),
  );
  await execa('cat', [stopped], { cancelSignal: early.signal });
  // Its zfs as well: it is a group of its own.
  process.kill(-(child.pid ?? 0), 'SIGKILL');
  await ended;
}
