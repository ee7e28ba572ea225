import { chown, mkdtemp, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import {
  detachBelow,
  directoryVolume,
  err,
  failed,
  type Mounted,
  type Owner,
  ok,
  parseMountPoints,
  type Result,
  runCommand,
  type StoreError,
  type StoreFeatures,
  toVolumeName,
  type Volume,
  type Volumes,
} from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';

/** What a store does for a sandbox on a Mac, with directories and bind mounts. It saves nothing. */
export const placement: StoreFeatures['placement'] = {
  async mountAt(volume, target, { readOnly = false } = {}): Promise<Result<Mounted, StoreError>> {
    const source = await volume.mount();
    if (source.isErr()) return err(source.error);
    const steps = [
      ['--bind', source.value.path, target],
      ...(readOnly ? [['-o', 'remount,bind,ro', target]] : []),
    ];
    for (const args of steps) {
      const done = await runCommand('mount', args);
      if (done.isErr()) return err(failed('cannot mount', done.error));
    }
    let number = (await mountTable()).findLast(({ path }) => path === target)?.number;
    return ok({
      path: target,
      async [Symbol.asyncDispose]() {
        if (number !== undefined && (await unmount(number))) number = undefined;
        await source.value[Symbol.asyncDispose]();
      },
    });
  },
};

/** Tries for a while, as a store does: somebody may just look into it. Where it stays in use, it stays mounted. */
async function unmount(number: string): Promise<boolean> {
  for (let tries = 0; tries < 20; tries += 1) {
    // A directory above it may have been moved, and it with that.
    const at = (await mountTable()).find((mount) => mount.number === number);
    if (at === undefined || (await runCommand('umount', [at.path])).isOk()) return true;
    await delay(20);
  }
  return false;
}

/** The number and the place of each mount (proc_pid_mountinfo(5)). */
async function mountTable(): Promise<readonly { readonly number: string; readonly path: string }[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8');
  const lines = table.split('\n').filter((line) => line !== '');
  return lines.map((line) => ({
    number: line.split(' ')[0] ?? '',
    path: parseMountPoints(line)[0] ?? '',
  }));
}

/** What a store does when it is opened: nothing of a dead owner stays mounted. */
export async function unmountAll(): Promise<void> {
  for (const place of ['/Users', '/opt/homebrew']) expectOk(await detachBelow(place));
}

/** Fresh volumes of a user, in a directory. */
export async function volumesOf(directory: string, owner: Owner): Promise<Volumes> {
  const made = await Promise.all(['home', 'brew'].map((name) => emptyVolume(directory, { name, owner })));
  return new Map(made.map((volume) => [volume.name, volume]));
}

export async function emptyVolume(
  directory: string,
  { name, owner }: { readonly name: string; readonly owner: Owner },
): Promise<Volume> {
  const path = await mkdtemp(join(directory, `${name}-`));
  await chown(path, owner.uid, owner.gid);
  return directoryVolume(toVolumeName(name), path);
}
