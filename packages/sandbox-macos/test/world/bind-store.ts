import { chown, mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import {
  detachBelow,
  directoryVolume,
  err,
  failed,
  type Mounted,
  type Owner,
  ok,
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
    let isMounted = true;
    return ok({
      path: target,
      async [Symbol.asyncDispose]() {
        // Where somebody uses it this fails, and it stays.
        if (isMounted) isMounted = (await runCommand('umount', [target])).isErr();
        await source.value[Symbol.asyncDispose]();
      },
    });
  },
};

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
