import { mkdir, rm, symlink, unlink } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
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
import { firstPath, onPrepare, patch } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** What ends while it is used, at the same time as something else, or after the store that it belongs to. */
export const endingMutants: readonly Mutant[] = [
  storeMutant({
    name: 'dispose-keeps-the-files',
    breaks: 'dropped',
    seenBy: 'throws away what is disposed without a commit',
    mutate: (store) =>
      onPrepare(store, (active) => patch(active, () => ({ [Symbol.asyncDispose]: async () => {} }))),
  }),
  storeMutant({
    name: 'dispose-removes-what-was-saved',
    breaks: 'disposedLate',
    seenBy: 'keeps a committed snapshot when its active one is disposed',
    mutate: (store) =>
      onPrepare(store, (active, { key }) =>
        patch(active, (inner) => ({
          async [Symbol.asyncDispose]() {
            await inner[Symbol.asyncDispose]();
            await store.remove(key);
          },
        })),
      ),
  }),
  storeMutant({
    name: 'second-dispose-rejects',
    breaks: 'disposeQuiet',
    seenBy: 'keeps a committed snapshot when its active one is disposed',
    mutate: (store) =>
      onPrepare(store, (active) =>
        patch(active, (inner) => {
          let hasEnded = false;
          return {
            async [Symbol.asyncDispose]() {
              if (hasEnded) throw new Error('it has ended');
              hasEnded = true;
              await inner[Symbol.asyncDispose]();
            },
          };
        }),
      ),
  }),
  storeMutant({
    name: 'commit-shares-files-with-the-draft',
    breaks: 'immutable',
    seenBy: 'saves nothing that is written after the commit',
    mutate: (store, { disk }) =>
      onPrepare(store, async (active, { key }) => {
        const draft = dirname(await firstPath(active.volumes));
        patch(active, (inner) => ({
          async commit() {
            const saved = await inner.commit();
            orThrow(await runCommand('cp', ['-alT', disk.saved(key), draft]));
            return saved;
          },
          [Symbol.asyncDispose]: () => rm(draft, { recursive: true, force: true }),
        }));
      }),
  }),
  storeMutant({
    name: 'dispose-waits-for-leases',
    breaks: 'dropped',
    seenBy: 'drops a snapshot that somebody has mounted',
    mutate: (store) =>
      onPrepare(store, (active) => {
        const leases = countLeases(active.volumes.values());
        patch(active, (inner) => ({
          [Symbol.asyncDispose]: async () => void (leases() > 0 || (await inner[Symbol.asyncDispose]())),
        }));
      }),
  }),
  storeMutant({
    name: 'leases-counted-for-each-lookup',
    breaks: 'ownMounts',
    seenBy: 'mounts a saved volume twice',
    mutate: (store, { disk }) =>
      patch(store, (inner) => ({
        lookup: async (key) => {
          const found = await inner.lookup(key);
          if (found.isErr()) return found;
          for (const volume of found.value?.volumes.values() ?? []) {
            throughLink(volume, `${disk.path}/${key}`, { leases: 0 });
          }
          return found;
        },
      })),
  }),
  storeMutant({
    name: 'leases-counted-too-late',
    breaks: 'ownMounts',
    seenBy: 'mounts one volume many times at once',
    mutate(store, { disk }) {
      const counts = new Map<StepKey, { leases: number }>();
      patch(store, (inner) => ({
        lookup: async (key) => {
          const found = await inner.lookup(key);
          if (found.isErr()) return found;
          const count = counts.get(key) ?? { leases: 0 };
          counts.set(key, count);
          for (const volume of found.value?.volumes.values() ?? []) {
            throughLink(volume, `${disk.path}/${key}`, count);
          }
          return found;
        },
      }));
    },
  }),
  storeMutant({
    name: 'drafts-numbered-from-one',
    breaks: 'endedLate',
    seenBy: 'is not troubled by what ends after the store that it belongs to',
    mutate(store, { disk }) {
      let number = 0;
      onPrepare(store, async (active) => {
        number += 1;
        const link = join(disk.path, `${number}`);
        await unlink(link).catch(() => {});
        await symlink(await firstPath(active.volumes), link);
        patch(active, (inner) => ({
          async [Symbol.asyncDispose]() {
            orThrow(await runCommand('sh', ['-c', '[ ! -d "$0/" ] || find "$0/" -mindepth 1 -delete', link]));
            await inner[Symbol.asyncDispose]();
          },
        }));
      });
    },
  }),
  storeMutant({
    name: 'second-dispose-unlocks-for-others',
    breaks: 'oneOwner',
    seenBy: 'is not troubled by what ends after the store that it belongs to',
    mutate: (store, { disk }) =>
      patch(store, (inner) => ({
        async [Symbol.asyncDispose]() {
          await inner[Symbol.asyncDispose]();
          disk.isOpen = false;
        },
      })),
  }),
  storeMutant({
    name: 'dispose-keeps-the-lock',
    breaks: 'givenUp',
    seenBy: 'keeps what was saved when it is opened again',
    mutate: (store, { disk }) =>
      patch(store, (inner) => ({
        async [Symbol.asyncDispose]() {
          await inner[Symbol.asyncDispose]();
          disk.isOpen = true;
        },
      })),
  }),
  storeMutant({
    name: 'draft-left-without-a-parent',
    breaks: 'leftNothing',
    seenBy: 'answers `not-found`',
    mutate: (store, { disk }) =>
      patch(store, (inner) => ({
        async prepare(request) {
          const prepared = await inner.prepare(request);
          if (prepared.isErr() && prepared.error.type === 'not-found') await mkdir(disk.fresh());
          return prepared;
        },
      })),
  }),
  storeMutant({
    name: 'full-draft-left',
    breaks: 'leftNothing',
    seenBy: 'saves no snapshot that holds more than its quota',
    mutate: (store, { disk }) =>
      onPrepare(store, (active) =>
        patch(active, (inner) => ({
          async commit() {
            const saved = await inner.commit();
            if (saved.isErr()) await mkdir(disk.fresh());
            return saved;
          },
        })),
      ),
  }),
  storeMutant({
    name: 'removal-goes-on',
    breaks: 'quiet',
    seenBy: 'whose removal was aborted',
    mutate: (store, { aside }) =>
      patch(store, (inner) => ({
        async remove(key) {
          void runCommand('sh', ['-c', 'sleep 0.2; rm -rf "$0"', join(aside, 'trash')]);
          return inner.remove(key);
        },
      })),
  }),
];

function countLeases(volumes: Iterable<Volume>): () => number {
  let leases = 0;
  for (const volume of volumes) {
    patch(volume, (inner) => ({
      async mount(): Promise<Result<Mounted, StoreError>> {
        const mount = await inner.mount();
        leases += 1;
        return mount.map(({ path, ...rest }) => {
          let isHeld = true;
          return {
            path,
            async [Symbol.asyncDispose]() {
              if (isHeld) leases -= 1;
              isHeld = false;
              await rest[Symbol.asyncDispose]();
            },
          };
        });
      },
    }));
  }
  return () => leases;
}

/** All mounts of the volume are one link; the last that `count` knows of takes it away, whoever comes meanwhile. */
function throughLink(volume: Volume, link: string, count: { leases: number }): void {
  patch(volume, (inner) => ({
    async mount() {
      const isMounted = count.leases > 0;
      const mount = orThrow(await inner.mount());
      if (!isMounted) await symlink(mount.path, link).catch(() => {});
      count.leases += 1;
      let isHeld = true;
      return ok({
        path: toHostPath(link),
        async [Symbol.asyncDispose]() {
          if (!isHeld) return;
          isHeld = false;
          await mount[Symbol.asyncDispose]();
          count.leases -= 1;
          if (count.leases === 0) await unlink(link).catch(() => {});
        },
      });
    },
  }));
}
