import { copyFile, mkdir, readdir, rmdir, stat, symlink, unlink, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import {
  err,
  type HostPath,
  type Mounted,
  ok,
  orThrow,
  type Result,
  runCommand,
  type StepKey,
  type StoreError,
  toHostPath,
  type Volume,
} from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import {
  asidePath,
  fail,
  firstPath,
  onCheckOut,
  onCommit,
  onPrepare,
  patch,
  pathOfSaved,
  replaceBy,
  spoilWith,
} from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** Who sees what of whom. */
export const isolationMutants: readonly Mutant[] = [
  storeMutant({
    name: 'large-files-not-copied',
    breaks: 'childWhole',
    seenBy: 'gives a child everything of its parent',
    mutate: spoilWith('find . -size +100k -delete'),
  }),
  storeMutant({
    name: 'child-is-hard-links',
    breaks: 'immutable',
    seenBy: 'does not let a child change its parent',
    mutate: (store) =>
      onPrepare(store, async ({ volumes }, { from }) => {
        if (!('snapshot' in from)) return;
        await replaceBy(await firstPath(volumes), await pathOfSaved(store, from.snapshot), ['-al']);
      }),
  }),
  storeMutant({
    name: 'siblings-share-files',
    breaks: 'apart',
    seenBy: 'does not let siblings see each other',
    mutate(store) {
      const lastChild = new Map<StepKey, string>();
      onPrepare(store, async ({ volumes }, { from }) => {
        if (!('snapshot' in from)) return;
        const path = await firstPath(volumes);
        const sibling = lastChild.get(from.snapshot);
        if (sibling) await replaceBy(path, sibling, ['-al']);
        lastChild.set(from.snapshot, path);
      });
    },
  }),
  storeMutant({
    name: 'plain-directories',
    breaks: 'readOnly',
    seenBy: 'refuses to write into a saved volume',
  }),
  storeMutant({
    name: 'same-size-and-time-is-same',
    breaks: 'writtenSaved',
    seenBy: 'sees a change that keeps size and time',
    mutate: (store) =>
      onCommit(store, async ({ volumes }, { from }) => {
        if ('snapshot' in from)
          await keepOld(await pathOfSaved(store, from.snapshot), await firstPath(volumes));
      }),
  }),
  storeMutant({
    name: 'layer-kept-after-removal',
    breaks: 'sequences',
    seenBy: 'holds what a model of it holds',
    scale: 1,
    mutate(store, { aside, copies }) {
      onCommit(store, async ({ volumes }, { key }) => {
        if (copies.has(key)) return;
        const copy = await asidePath(aside);
        copies.set(key, copy);
        orThrow(await runCommand('cp', ['-aT', await firstPath(volumes), copy]));
      });
      onPrepare(store, async ({ volumes }, { from }) => {
        const copy = 'snapshot' in from && copies.get(from.snapshot);
        if (copy) await replaceBy(await firstPath(volumes), copy, ['-a']);
      });
    },
  }),
  storeMutant({
    name: 'prepare-remembers-the-last-key',
    breaks: 'atOnce',
    seenBy: 'prepares and commits 50 children',
    mutate(store) {
      let last: StepKey;
      patch(store, (inner) => ({
        async prepare(request) {
          last = request.key;
          await inner.lookup(last);
          return inner.prepare({ ...request, key: last });
        },
      }));
    },
  }),
  storeMutant({
    name: 'no-more-than-forty-layers',
    breaks: 'chains',
    seenBy: 'keeps a chain of 150 snapshots',
    mutate(store) {
      const depths = new Map<StepKey, number>();
      patch(store, (inner) => ({
        async prepare(request) {
          const depth = 'snapshot' in request.from ? (depths.get(request.from.snapshot) ?? 0) + 1 : 0;
          depths.set(request.key, depth);
          return depth > 40 ? fail('mount: the option string is too long') : inner.prepare(request);
        },
      }));
    },
  }),
];

/** What is mounted. */
export const mountMutants: readonly Mutant[] = [
  storeMutant({
    name: 'first-dispose-unmounts-all',
    breaks: 'ownMounts',
    seenBy: 'mounts a saved volume twice',
    mutate(store, { disk }) {
      const place = (volume: Volume) => throughOneLink(volume, disk.fresh());
      patch(store, (inner) => ({
        lookup: async (key) => {
          const found = await inner.lookup(key);
          if (found.isOk()) for (const volume of found.value?.volumes.values() ?? []) place(volume);
          return found;
        },
      }));
    },
  }),
  storeMutant({
    name: 'publish-keeps-a-mount',
    breaks: 'leasedMounts',
    seenBy: 'mounts no more than is leased',
    mutate: (store) =>
      onCheckOut(store, (copy) =>
        patch(copy, (inner) => ({
          async publish() {
            orThrow(await copy.volume.mount());
            return inner.publish();
          },
        })),
      ),
  }),
  storeMutant({
    name: 'store-dispose-leaves-what-was-placed',
    breaks: 'disposedMounts',
    seenBy: 'takes away what it placed when the store is disposed',
    mutate: (store) =>
      patch(store, () => ({
        placement: { mountAt: async (volume, target) => ok(await placeLink(volume, target)) },
      })),
  }),
  storeMutant({
    name: 'mounted-noexec',
    breaks: 'programs',
    seenBy: 'starts a program that lies in a cache',
    needs: ['root'],
    mutate: (store, { aside }) => onCheckOut(store, (copy) => mountNoexec(copy.volume, aside)),
  }),
];

/** What rsync does without `--checksum`: a file of the same size and time is taken from the parent. */
async function keepOld(parent: string, child: string): Promise<void> {
  for (const name of await readdir(parent)) {
    const [before, after] = await Promise.all(
      [parent, child].map((dir) => stat(join(dir, name)).catch(() => undefined)),
    );
    if (!before?.isFile() || !after || before.size !== after.size || +before.mtime !== +after.mtime) continue;
    await copyFile(join(parent, name), join(child, name));
    await utimes(join(child, name), before.atime, before.mtime);
  }
}

/** All mounts of the volume are one link, which the first dispose takes away. */
function throughOneLink(volume: Volume, link: string): void {
  patch(volume, (inner) => ({
    async mount() {
      const mount = orThrow(await inner.mount());
      await symlink(mount.path, link).catch(() => {});
      return ok({
        path: toHostPath(link),
        async [Symbol.asyncDispose]() {
          await unlink(link).catch(() => {});
          await mount[Symbol.asyncDispose]();
        },
      });
    },
  }));
}

/** A link that only its own dispose takes away. */
async function placeLink(volume: Volume, target: HostPath): Promise<Mounted> {
  const mount = orThrow(await volume.mount());
  await rmdir(target);
  await symlink(mount.path, target);
  return {
    path: target,
    async [Symbol.asyncDispose]() {
      await unlink(target).catch(() => {});
      await mkdir(target).catch(() => {});
      await mount[Symbol.asyncDispose]();
    },
  };
}

function mountNoexec(volume: Volume, aside: string): void {
  patch(volume, (inner) => ({
    async mount(): Promise<Result<Mounted, StoreError>> {
      const mount = await inner.mount();
      if (mount.isErr()) return err(mount.error);
      const target = toHostPath(await asidePath(aside));
      const mounted = await runCommand('sh', [
        '-euc',
        'mkdir "$2"; mount --bind "$1" "$2"; mount -o remount,bind,noexec "$2"',
        'sh',
        mount.value.path,
        target,
      ]);
      orThrow(mounted);
      return ok({
        path: target,
        async [Symbol.asyncDispose]() {
          await runCommand('umount', [target]);
          await mount.value[Symbol.asyncDispose]();
        },
      });
    },
  }));
}
