import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type HostPath, toHostPath } from '@snapstep/core/backend';
import { expectOk, needs, tempDir } from '@snapstep/test-support';
import { expect, it } from 'vitest';
import { brew, home, key, lookup, openWorld, prepare, read, save, volumeOf } from './support/world.ts';

needs('root', 'openzfs')('a volume placed on OpenZFS', () => {
  it('is where the caller says, beside a step that runs, and is gone from there with its lease', async () => {
    await using world = await openWorld();
    await using dir = await tempDir();
    await save(world.store, 1, { from: { empty: [home, brew] } });
    await using running = await prepare(world.store, 2, { snapshot: key(1) });
    await using mounted = expectOk(await volumeOf(running, home).mount());
    await using _process = writerIn(mounted.path);

    await using placed = await prepare(world.store, 3, { snapshot: key(1) });
    const targets = {
      home: await place(dir.path, 'Users/mac1000'),
      brew: await place(dir.path, 'opt/homebrew'),
    };
    {
      await using atHome = expectOk(
        await world.store.placement.mountAt(volumeOf(placed, home), targets.home),
      );
      await using atBrew = expectOk(
        await world.store.placement.mountAt(volumeOf(placed, brew), targets.brew),
      );
      expect(await world.mounts()).toHaveLength(3);
      await writeFile(join(atHome.path, 'step'), 'placed');
      await writeFile(join(atBrew.path, 'step'), 'placed');
      // The one that runs sees nothing of it.
      expect(await readFile(join(mounted.path, 'step'), 'utf8')).toBe('1');
    }
    expect(await readdir(targets.home)).toEqual([]);
    expect(await world.mounts()).toEqual([mounted.path]);
    expectOk(await placed.commit());
    expect(await read(volumeOf(await lookup(world.store, 3), home))).toBe('placed');
  });

  it('can be placed there again by the next step, while the last one is saved', async () => {
    await using world = await openWorld();
    await using dir = await tempDir();
    const target = await place(dir.path, 'Users/mac1000');
    await save(world.store, 0, { from: { empty: [home] } });
    for (let number = 1; number <= 5; number += 1) {
      await using active = await prepare(world.store, number, { snapshot: key(number - 1) });
      {
        await using mounted = expectOk(await world.store.placement.mountAt(volumeOf(active, home), target));
        expect(await readFile(join(mounted.path, 'step'), 'utf8')).toBe(`${number - 1}`);
        await writeFile(join(mounted.path, 'step'), `${number}`);
      }
      expectOk(await active.commit());
    }
    await world.reopen();
    expect(await world.mounts()).toEqual([]);
    for (let number = 1; number <= 5; number += 1) {
      expect(await read(volumeOf(await lookup(world.store, number), home))).toBe(`${number}`);
    }
  });
});

async function place(dir: string, name: string): Promise<HostPath> {
  const path = join(dir, name);
  await mkdir(path, { recursive: true });
  return toHostPath(path);
}

/** A process that works in a directory and writes to it until it is disposed. */
function writerIn(cwd: string): AsyncDisposable {
  const script = 'while echo tick >>ticks; do read -r -t 0.1; done < <(sleep infinity)';
  const child = spawn('bash', ['-c', script], { cwd, detached: true, stdio: 'ignore' });
  return {
    async [Symbol.asyncDispose]() {
      const ended = once(child, 'exit');
      process.kill(-(child.pid ?? 0), 'SIGKILL');
      await ended;
    },
  };
}
