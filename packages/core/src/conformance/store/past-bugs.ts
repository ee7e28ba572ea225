import { randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readdir, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCommand } from '../../backend/command.ts';
import { toCacheId, toVolumeName } from '../../backend/names.ts';
import { keeps, keepsEqual } from '../promise.ts';
import { describeTree } from './describe-tree.ts';
import { namesIn, writeA, writeB } from './lifecycle.ts';
import { storePromises as promises } from './promises.ts';
import { dispose, expectOk, key, mounted, type Scene, type StoreTest, within } from './scene.ts';

const apt = toCacheId('apt');

/**
 * What went wrong in other stores, one test each, by the id of the bug. Where a test of another topic is about the
 * same, its title has that id.
 */
export function pastBugTests(test: StoreTest): void {
  // OBuilder's overlay store deleted `merged` without unmounting it: https://github.com/ocurrent/obuilder/pull/215
  test('can use a key again whose step failed while it was mounted (V1, Z13)', async (scene) => {
    const before = await scene.mounts();
    for (let time = 0; time < 3; time += 1) {
      await failingStep(scene);
      keepsEqual(promises.leasedMounts, await scene.mounts(), before);
    }
    await scene.save(key(1), writeB);
    keepsEqual(promises.keyAgain, await scene.look(key(1), namesIn), ['b']);
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  // A killed run's `result-tmp` was built on by the next: seen with the rsync and the XFS store of OBuilder 0.7.
  test('starts a step anew whose process was gone in the middle of it (X1)', async (scene) => {
    await scene.save(key(1), writeA);
    const active = await scene.prepare(key(2), { snapshot: key(1) });
    await within(active.volumes, (path) => writeFile(join(path, 'dirt'), ''));
    await scene.reopen();
    await scene.save(key(2), writeB, key(1));
    keepsEqual(promises.keyAgain, await scene.look(key(2), namesIn), ['a', 'b']);
  });
  // OBuilder's ZFS store deleted a half made dataset without its children, and failed on them for ever.
  test('starts a step anew that had several volumes (Z15)', async (scene) => {
    const names = [toVolumeName('brew'), toVolumeName('home')];
    const active = await scene.prepare(key(1), { empty: names });
    for (const volume of active.volumes.values()) await mounted(volume, writeA);
    await scene.reopen();
    await using again = await scene.prepare(key(1), { empty: names });
    for (const volume of again.volumes.values()) {
      keepsEqual(promises.keyAgain, await mounted(volume, namesIn), []);
    }
    await expectOk(again.commit());
  });
  // `dataset is busy`, although nobody uses it any more: https://github.com/openzfs/zfs/issues/1228
  test('drops a snapshot that a process still has open, and can use the key again (Z1)', async (scene) => {
    const active = await scene.prepare(key(1));
    const held = await within(active.volumes, (path) => open(join(path, 'held'), 'w'));
    await dispose(active);
    keepsEqual(promises.dropped, await scene.lookup(key(1)), undefined);
    await held.close();
    await scene.save(key(1), writeB);
    keepsEqual(promises.keyAgain, await scene.look(key(1), namesIn), ['b']);
  });
  // A mount that failed was only logged, and gave a path that was not there.
  test('gives no path to a volume of a snapshot that was removed (Z14)', async (scene) => {
    const { volumes } = await scene.save(key(1), writeA);
    await expectOk(scene.store.remove(key(1)));
    for (const volume of volumes.values()) {
      const mount = await volume.mount();
      if (mount.isOk()) await dispose(mount.value);
      keeps(promises.removed, mount.isErr(), mount);
    }
  });
  callerBugTests(test);
  diskBugTests(test);
  cacheBugTests(test);
}

function callerBugTests(test: StoreTest): void {
  // What was being removed made `df` fail: https://github.com/moby/moby/issues/51979
  test('tells `usage` and `list` while snapshots come and go (P6)', async (scene) => {
    await scene.save(key(0), writeA);
    const ending = Array.from({ length: scene.scaled(20, 4) }, (_, number) => key(number + 1));
    for (const at of ending) await scene.save(at, writeB, key(0));
    let going = ending.length;
    const ends = ending.map(async (at, number) => {
      await expectOk(scene.store.remove(at), promises.atOnce);
      if (number % 2 === 0) await dispose(await scene.prepare(at, { snapshot: key(0) }));
      going -= 1;
    });
    do {
      const usage = await expectOk(scene.store.usage(), promises.atOnce);
      keeps(promises.usageAxes, usage.length > 0, usage);
      const listed = await expectOk(scene.store.list(), promises.atOnce);
      keeps(promises.atOnce, listed.includes(key(0)), listed);
    } while (going > 0);
    await Promise.all(ends);
    keepsEqual(promises.removed, await scene.list(), [key(0)]);
  });
  // The host's umask made directories that no step could enter: https://github.com/moby/buildkit/commit/1ee85bf
  test("gives volumes and caches the same modes, whatever the host's umask (R20)", async (scene) => {
    const modeOf = async (path: string) => ((await stat(path)).mode & 0o7777).toString(8);
    const umask = process.umask();
    try {
      for (const [number, mask] of [0o077, 0].entries()) {
        process.umask(mask);
        const at = key(number + 1);
        await scene.save(at, async (path) => {
          keepsEqual(promises.freshVolumes, await modeOf(path), '755');
          await mkdir(join(path, 'open'));
          await chmod(join(path, 'open'), 0o777);
        });
        await scene.publish(toCacheId(`${mask}`), async (path) => {
          keepsEqual(promises.freshCache, await modeOf(path), '755');
        });
        keepsEqual(promises.volumeMode, await scene.look(at, modeOf), '755');
        await using child = await scene.prepare(key(number + 11), { snapshot: at });
        const open = await within(child.volumes, (path) => modeOf(join(path, 'open')));
        keepsEqual(promises.modes, open, '777');
        await using copy = await scene.checkOut(toCacheId(`${mask}`));
        keepsEqual(promises.newestCache, await mounted(copy.volume, modeOf), '755');
      }
    } finally {
      process.umask(umask);
    }
  });
}

function diskBugTests(test: StoreTest): void {
  // Copies of files just written had holes of zeros: https://github.com/openzfs/zfs/issues/15526
  test('copies what was written a moment ago, with every byte (Z7)', async (scene) => {
    for (let round = 0; round < scene.scaled(10, 3); round += 1) {
      let made: readonly string[] = [];
      const change = async (path: string) => {
        for (let file = 0; file < 10; file += 1) await writeWithHoles(join(path, `${file}`));
        made = await describeTree(path);
      };
      await scene.save(key(2 * round), change);
      await scene.save(key(2 * round + 1), async () => {}, key(2 * round));
      keepsEqual(promises.childWhole, await scene.tree(key(2 * round + 1)), made);
    }
  });
  // A guest was turned off before its files were on disk: https://github.com/ocurrent/obuilder/commit/2871e89
  test('has every byte of a snapshot when it is opened again right after the commit (K9)', async (scene) => {
    let made: readonly string[] = [];
    await scene.save(key(1), async (path) => {
      await writeFile(join(path, 'big'), randomBytes(4_000_000));
      made = await describeTree(path);
    });
    await scene.reopen();
    keepsEqual(promises.reopened, await scene.tree(key(1)), made);
  });
  // Btrfs deletes later, so pruning saw no gain and pruned too much.
  test('has space again when `reclaimed` settles (B4)', async (scene) => {
    // Somebody else may fill the same disk at the same time; hardly three times in a row.
    const seen = [await freedBytes(scene), 0, 0];
    for (let time = 1; time < 3 && (seen[time - 1] ?? 0) < FILE / 2; time += 1) {
      seen[time] = await freedBytes(scene);
    }
    keeps(promises.reclaimedSpace, Math.max(...seen) >= FILE / 2, `${seen} bytes more are free of ${FILE}`);
  });
  // Files that nobody closed: https://github.com/ocurrent/obuilder/commit/ab58e15
  test('has no more files open after many steps (T6)', async (scene) => {
    const step = async () => {
      await scene.save(key(1), writeA);
      await expectOk(scene.store.remove(key(1)));
      await scene.publish(apt, writeA);
    };
    await step();
    const before = await openFiles();
    for (let time = 0; time < scene.scaled(20, 5); time += 1) await step();
    const more = (await openFiles()) - before;
    keeps(promises.leftNothing, more < 5, `${more} files more are open`);
  });
}

function cacheBugTests(test: StoreTest): void {
  // What lost the race was never deleted, and filled the disk.
  test('leaves nothing of caches that were used at once (V7, X8, Z2)', async (scene) => {
    await scene.publish(apt, writeA);
    const copies = await Promise.all(Array.from({ length: 6 }, () => scene.checkOut(apt)));
    for (const copy of copies) await mounted(copy.volume, writeB);
    await expectOk(copies[0]?.publish() as ReturnType<(typeof copies)[0]['publish']>);
    await Promise.all(copies.map(dispose));
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
    await scene.reopen();
    keepsEqual(promises.leftNothing, await scene.leftovers(), []);
  });
  // Caches were mounted `noexec`: https://github.com/ocurrent/obuilder/pull/38
  test('starts a program that lies in a cache (R10)', async (scene) => {
    await using copy = await scene.checkOut(apt);
    await mounted(copy.volume, async (path) => {
      await writeFile(join(path, 'tool'), '#!/bin/sh\necho started\n');
      await chmod(join(path, 'tool'), 0o755);
      const printed = await expectOk(runCommand(join(path, 'tool'), []), promises.programs);
      keepsEqual(promises.programs, printed, 'started\n');
    });
  });
}

/** As a step does that throws in the middle. */
async function failingStep(scene: Scene): Promise<void> {
  await using active = await scene.prepare(key(1));
  await within(active.volumes, async (path) => {
    await writeA(path);
    throw new Error('the step failed');
  }).catch((error: Error) => {
    if (error.message !== 'the step failed') throw error;
  });
}

async function writeWithHoles(path: string): Promise<void> {
  await using file = await open(path, 'w');
  for (const position of [0, 70_000, 300_000]) await file.write(randomBytes(5000), 0, 5000, position);
}

const FILE = 64 * 1024 * 1024;

/** How much `usage` goes down when a large file is removed. */
async function freedBytes(scene: Scene): Promise<number> {
  await scene.save(key(1), async (path) => {
    await using file = await open(join(path, 'big'), 'w');
    await file.write(randomBytes(FILE));
    await file.sync();
  });
  const before = await usedBytes(scene);
  await expectOk(scene.store.remove(key(1)));
  await expectOk(scene.store.reclaimed());
  return before - (await usedBytes(scene));
}

async function usedBytes(scene: Scene): Promise<number> {
  return (await expectOk(scene.store.usage())).find(({ axis }) => axis === 'bytes')?.used ?? 0;
}

/** 0 where there is no `/proc`. */
async function openFiles(): Promise<number> {
  return (await readdir('/proc/self/fd').catch(() => [])).length;
}
