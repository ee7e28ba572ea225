import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ok, type StepKey } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { fail, onPrepare, patch } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** What is gone with a removal, and what is not. */
export const removalMutants: readonly Mutant[] = [
  storeMutant({
    name: 'remove-does-nothing',
    breaks: 'removed',
    seenBy: 'removes a snapshot, and what is not there',
    mutate: (store) => patch(store, () => ({ remove: async () => ok() })),
  }),
  storeMutant({
    name: 'remove-fails-for-what-is-not-there',
    breaks: 'removeMissing',
    seenBy: 'removes a snapshot, and what is not there',
    mutate: (store) =>
      patch(store, (inner) => ({
        async remove(key) {
          const found = await inner.lookup(key);
          return found.isOk() && found.value === undefined ? fail(`there is no ${key}`) : inner.remove(key);
        },
      })),
  }),
  storeMutant({
    name: 'remove-takes-the-parent-along',
    breaks: 'removeOthers',
    seenBy: 'leaves every other snapshot whole',
    mutate(store) {
      const parents = new Map<StepKey, StepKey>();
      onPrepare(store, (_, { key, from }) => 'snapshot' in from && parents.set(key, from.snapshot));
      patch(store, (inner) => ({
        async remove(key) {
          const parent = parents.get(key);
          if (parent) await inner.remove(parent);
          return inner.remove(key);
        },
      }));
    },
  }),
  storeMutant({
    name: 'remove-breaks-a-child',
    breaks: 'removeOthers',
    seenBy: 'keeps a child whole whose parent is removed',
    mutate(store, { disk }) {
      const parents = new Map<StepKey, StepKey>();
      onPrepare(store, (_, { key, from }) => 'snapshot' in from && parents.set(key, from.snapshot));
      patch(store, (inner) => ({
        async remove(key) {
          for (const [child, parent] of parents) {
            if (parent === key) await rm(join(disk.saved(child), 'rootfs/big'), { force: true });
          }
          return inner.remove(key);
        },
      }));
    },
  }),
];
