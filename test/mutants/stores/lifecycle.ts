import { writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type ActiveSnapshot,
  ok,
  orThrow,
  runCommand,
  type StepKey,
  toVolumeName,
} from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { asidePath, fail, firstPath, onCommit, onPrepare, patch, pathOf } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** When a snapshot is there, and when it is not. */
export const lifecycleMutants: readonly Mutant[] = [
  storeMutant({
    name: 'visible-before-commit',
    breaks: 'committed',
    seenBy: 'shows a snapshot only once it is committed',
    mutate(store) {
      const actives = new Map<StepKey, ActiveSnapshot>();
      onPrepare(store, (active, { key }) => actives.set(key, active));
      patch(store, (inner) => ({
        async lookup(key) {
          const volumes = actives.get(key)?.volumes;
          return volumes ? ok({ key, volumes }) : inner.lookup(key);
        },
      }));
    },
  }),
  storeMutant({
    name: 'list-shows-active',
    breaks: 'listed',
    seenBy: 'shows a snapshot only once it is committed',
    mutate(store) {
      const keys = new Set<StepKey>();
      onPrepare(store, (_, { key }) => keys.add(key));
      patch(store, () => ({ list: async () => ok([...keys]) }));
    },
  }),
  storeMutant({
    name: 'list-forgets',
    breaks: 'listed',
    seenBy: 'shows a snapshot only once it is committed',
    mutate: (store) =>
      patch(store, (inner) => ({ list: async () => (await inner.list()).map((keys) => keys.slice(1)) })),
  }),
  storeMutant({
    name: 'pairing-forgotten-at-restart',
    breaks: 'paired',
    seenBy: 'keeps what it is paired with',
    mutate(store, { opened }) {
      if (opened > 1) patch(store.pairing, () => ({ get: async () => ok(undefined) }));
    },
  }),
  storeMutant({
    name: 'pairing-never-replaced',
    breaks: 'paired',
    seenBy: 'keeps what it is paired with',
    mutate: (store) =>
      patch(store.pairing, (inner) => ({
        async set(text) {
          const known = await inner.get();
          return known.isOk() && known.value === undefined ? inner.set(text) : ok();
        },
      })),
  }),
  storeMutant({
    name: 'sync-only-when-idle',
    breaks: 'synced',
    seenBy: 'syncs while a snapshot is being made',
    mutate(store) {
      let active = 0;
      onPrepare(store, () => {
        active += 1;
      });
      onCommit(store, async () => {
        active -= 1;
      });
      patch(store, (inner) => ({ sync: () => (active > 0 ? Promise.resolve(fail('busy')) : inner.sync()) }));
    },
  }),
  storeMutant({
    name: 'forgets-at-restart',
    breaks: 'reopened',
    seenBy: 'keeps what was saved when it is opened again',
    mutate(_, { disk, opened }) {
      if (opened > 1) disk.snapshots.clear();
    },
  }),
  storeMutant({
    name: 'active-left-after-crash',
    breaks: 'wiped',
    seenBy: 'wipes what was active when it is opened again',
    mutate(_, { disk }) {
      disk.wipe = async () => {};
    },
  }),
  storeMutant({
    name: 'lock-file-left',
    breaks: 'leftNothing',
    seenBy: 'keeps a committed snapshot when its active one is disposed',
    mutate: (store) =>
      onPrepare(store, async ({ volumes }, { key }) => {
        const draft = dirname(await firstPath(volumes));
        await writeFile(join(dirname(draft), `${key}.lock`), '');
      }),
  }),
  storeMutant({
    name: 'saves-first-volume-only',
    breaks: 'allVolumes',
    seenBy: 'saves every volume',
    mutate: (store) =>
      onPrepare(store, (active) =>
        patch(active, (inner) => ({
          async commit() {
            for (const volume of [...active.volumes.values()].slice(1)) {
              const path = await pathOf(volume);
              orThrow(await runCommand('find', [path, '-mindepth', '1', '-delete']));
            }
            return inner.commit();
          },
        })),
      ),
  }),
  storeMutant({
    name: 'always-a-rootfs',
    breaks: 'askedVolumes',
    seenBy: 'saves every volume',
    mutate: (store) =>
      patch(store, (inner) => ({
        prepare: ({ from, ...request }) =>
          inner.prepare({
            ...request,
            from: 'empty' in from ? { empty: [...from.empty, toVolumeName('rootfs')] } : from,
          }),
      })),
  }),
  storeMutant({
    name: 'commit-answers-other-key',
    breaks: 'committedKey',
    seenBy: 'answers a commit with the snapshot',
    mutate: (store) =>
      onPrepare(store, (active, { key }) =>
        patch(active, (inner) => ({
          commit: async () =>
            (await inner.commit()).map((saved) => ({ ...saved, key: key.replace('0', 'f') as StepKey })),
        })),
      ),
  }),
  storeMutant({
    name: 'commit-twice',
    breaks: 'commitTwice',
    seenBy: 'throws when a snapshot is committed twice',
    mutate: (store) =>
      onPrepare(store, (active) =>
        patch(active, (inner) => {
          let first: ReturnType<ActiveSnapshot['commit']> | undefined;
          return {
            commit() {
              first ??= inner.commit();
              return first;
            },
          };
        }),
      ),
  }),
  storeMutant({
    name: 'fresh-volume-has-lost-found',
    breaks: 'freshVolumes',
    seenBy: 'gives a fresh volume that is empty',
    mutate: (store) =>
      onPrepare(store, async ({ volumes }, { from }) => {
        if ('empty' in from) await writeFile(join(await firstPath(volumes), 'lost+found'), '');
      }),
  }),
  storeMutant({
    name: 'missing-parent-failed',
    breaks: 'notFound',
    seenBy: 'answers `not-found`',
    mutate: (store) =>
      patch(store, (inner) => ({
        prepare: async (request) => {
          const prepared = await inner.prepare(request);
          return prepared.isErr() && prepared.error.type === 'not-found'
            ? fail('no such directory')
            : prepared;
        },
      })),
  }),
  storeMutant({
    name: 'not-found-without-the-key',
    breaks: 'notFound',
    seenBy: 'answers `not-found`',
    mutate: (store) =>
      patch(store, (inner) => ({
        prepare: async (request) =>
          (await inner.prepare(request)).mapErr((error) =>
            error.type === 'not-found' ? { ...error, key: request.key } : error,
          ),
      })),
  }),
  storeMutant({
    name: 'missing-parent-rejects',
    breaks: 'outcomes',
    seenBy: 'answers `not-found`',
    mutate: (store) =>
      patch(store, (inner) => ({
        prepare: async (request) => {
          const prepared = await inner.prepare(request);
          if (prepared.isErr()) throw new Error('ENOENT: no such file or directory');
          return prepared;
        },
      })),
  }),
  storeMutant({
    name: 'attempt-named-by-key',
    breaks: 'keyAgain',
    seenBy: 'throws away what is disposed without a commit',
    mutate(store, { aside }) {
      const left = new Map<StepKey, string>();
      onPrepare(store, async (active, { key }) => {
        const path = await firstPath(active.volumes);
        const before = left.get(key);
        if (before) orThrow(await runCommand('cp', ['-aT', before, path]));
        patch(active, (inner) => ({
          async [Symbol.asyncDispose]() {
            const kept = await asidePath(aside);
            const copied = await runCommand('cp', ['-aT', path, kept]);
            if (copied.isOk()) left.set(key, kept);
            await inner[Symbol.asyncDispose]();
          },
        }));
      });
    },
  }),
  storeMutant({
    name: 'one-active-at-a-time',
    breaks: 'succeeds',
    seenBy: 'holds 50 active snapshots at once',
    mutate(store) {
      let isActive = false;
      patch(store, (inner) => ({
        async prepare(request) {
          if (isActive) return fail('another step is being prepared');
          isActive = true;
          return inner.prepare(request);
        },
      }));
    },
  }),
  storeMutant({
    name: 'second-opener-allowed',
    breaks: 'oneOwner',
    seenBy: 'is `busy`',
    beforeSecond({ disk }) {
      disk.isOpen = false;
    },
  }),
];
