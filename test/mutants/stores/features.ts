import { mkdir, rmdir } from 'node:fs/promises';
import {
  type ActiveSnapshot,
  ok,
  orThrow,
  type Result,
  runCommand,
  type Snapshot,
  type StepKey,
  type Store,
  type StoreError,
  toVolumeName,
} from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { onPrepare, patch } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** What the features promise, but for base images. */
export const featureMutants: readonly Mutant[] = [
  storeMutant({
    name: 'feature-is-undefined',
    breaks: 'declared',
    seenBy: 'has each feature that the suite was told of',
    mutate: (store) => Object.assign(store, { quota: undefined }),
  }),
  storeMutant({
    name: 'transfer-without-format',
    breaks: 'declared',
    seenBy: 'has each feature that the suite was told of',
    mutate: (store) => patch(store.transfer, () => ({ format: undefined as never })),
  }),
  storeMutant({
    name: 'feature-not-declared',
    breaks: 'declared',
    seenBy: 'has each feature that the suite was told of',
    mutate: (store) => void delete (store as { quota?: unknown }).quota,
  }),
  storeMutant({
    name: 'placed-somewhere-else',
    breaks: 'placed',
    seenBy: 'mounts an active volume where the caller says',
    mutate: (store) => patch(store, () => ({ placement: { mountAt: (volume) => volume.mount() } })),
  }),
  storeMutant({
    name: 'placed-writable',
    breaks: 'placedReadOnly',
    seenBy: 'so that nobody can write to it there',
    needs: ['root'],
    mutate: (store) =>
      patch(store, (inner) => ({
        placement: { mountAt: (volume, target) => inner.placement.mountAt(volume, target) },
      })),
  }),
  storeMutant({
    name: 'placement-left',
    breaks: 'displaced',
    seenBy: 'gives the target back as it was',
    mutate: (store) =>
      patch(store, (inner) => ({
        placement: {
          mountAt: async (volume, target) =>
            (await inner.placement.mountAt(volume, target)).map((mount) => ({
              path: mount.path,
              async [Symbol.asyncDispose]() {},
            })),
        },
      })),
  }),
  storeMutant({
    name: 'placement-target-made-anew',
    breaks: 'displaced',
    seenBy: 'gives the target back as it was',
    mutate: (store) =>
      patch(store, (inner) => ({
        placement: {
          mountAt: async (volume, target, options) =>
            (await inner.placement.mountAt(volume, target, options)).map((mount) => ({
              path: mount.path,
              async [Symbol.asyncDispose]() {
                await mount[Symbol.asyncDispose]();
                await rmdir(target).then(() => mkdir(target));
              },
            })),
        },
      })),
  }),
  storeMutant({
    name: 'quota-checked-at-commit',
    breaks: 'quotaLimits',
    seenBy: 'lets an active snapshot hold no more than its quota',
  }),
  storeMutant({
    name: 'quota-does-nothing',
    breaks: 'quotaSaved',
    seenBy: 'saves no snapshot that holds more than its quota',
    mutate: (store) => patch(store, () => ({ quota: { ...store.quota, limit: async () => ok() } })),
  }),
  storeMutant({
    name: 'quota-never-used-up',
    breaks: 'quotaUsedUp',
    seenBy: 'says of a snapshot whether it has used up its quota',
    mutate: (store) => {
      const quota = { ...store.quota, isUsedUp: async () => ok(false) };
      patch(store, () => ({ quota }));
    },
  }),
  storeMutant({
    name: 'quota-always-used-up',
    breaks: 'quotaUsedUp',
    seenBy: 'says of a snapshot whether it has used up its quota',
    mutate: (store) => {
      const quota = { ...store.quota, isUsedUp: async () => ok(true) };
      patch(store, () => ({ quota }));
    },
  }),
  storeMutant({
    name: 'quota-of-all',
    breaks: 'quotaOthers',
    seenBy: 'lets all others go on',
    mutate(store) {
      let bytes = Number.MAX_SAFE_INTEGER;
      const { limit } = store.quota;
      patch(store, () => ({
        quota: {
          ...store.quota,
          limit(active: ActiveSnapshot, wanted: number) {
            bytes = wanted;
            return limit(active, wanted);
          },
        },
      }));
      onPrepare(store, async (active) => orThrow(await limit(active, bytes)));
    },
  }),
];

/** Snapshots that move. */
export const transferMutants: readonly Mutant[] = [
  storeMutant({
    name: 'received-without-links',
    breaks: 'transferred',
    seenBy: 'sends a snapshot whole',
    mutate: (store, { disk }) =>
      patch(store.transfer, (inner) => ({
        async receive(key, body, options) {
          const received = await inner.receive(key, body, options);
          orThrow(await runCommand('find', [disk.saved(key), '-type', 'l', '-delete']));
          return received;
        },
      })),
  }),
  storeMutant({
    name: 'first-volume-sent',
    breaks: 'transferred',
    seenBy: 'sends every volume of a snapshot',
    mutate: (store, { disk }) =>
      patch(store.transfer, (inner) => ({
        async receive(key, body, options) {
          const received = await inner.receive(key, body, options);
          const names = disk.snapshots.get(key);
          if (names !== undefined) disk.snapshots.set(key, names.slice(0, 1));
          return received;
        },
      })),
  }),
  storeMutant({
    name: 'changes-to-nothing-received',
    breaks: 'transferredSince',
    seenBy: 'receives no changes to a snapshot that it does not have',
    mutate: (store) =>
      patch(store.transfer, (inner) => ({
        async receive(key, body, options) {
          const received = await inner.receive(key, body, options);
          return received.isErr() && received.error.type === 'not-found' ? saveEmpty(store, key) : received;
        },
      })),
  }),
  storeMutant({
    name: 'stalled-stream-not-given-up',
    breaks: 'quiet',
    seenBy: 'gives up a stream that stands still',
    mutate: (store) =>
      patch(store.transfer, (inner) => ({
        receive: (key, body, options) =>
          inner.receive(key, body, { ...options, signal: new AbortController().signal }),
      })),
  }),
  storeMutant({
    name: 'received-after-an-abort',
    breaks: 'cancelled',
    seenBy: 'sends and receives nothing where it is aborted before',
    mutate: (store) =>
      patch(store.transfer, (inner) => ({
        receive: (key, body, { signal, ...options }) =>
          inner.receive(key, body, {
            ...options,
            signal: signal.aborted ? new AbortController().signal : signal,
          }),
      })),
  }),
  storeMutant({
    name: 'since-ignored',
    breaks: 'transferredSince',
    seenBy: 'sends with `since` only what changed',
    mutate: (store) =>
      patch(store.transfer, (inner) => ({
        send: (key, { signal }) => inner.send(key, { signal }),
        receive: (key, body, { signal }) => inner.receive(key, body, { signal }),
      })),
  }),
  storeMutant({
    name: 'cut-stream-published',
    breaks: 'transferCut',
    seenBy: 'shows nothing of a stream that was cut',
    mutate: (store) =>
      patch(store.transfer, (inner) => ({
        async receive(key, body, options) {
          const received = await inner.receive(key, body, options);
          return received.isOk() ? received : saveEmpty(store, key);
        },
      })),
  }),
];

async function saveEmpty(store: Store, key: StepKey): Promise<Result<Snapshot, StoreError>> {
  const from = { empty: [toVolumeName('rootfs')] };
  const signal = new AbortController().signal;
  await using active = orThrow(await store.prepare({ key, from, signal }));
  return await active.commit();
}
