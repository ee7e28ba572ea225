import { rename } from 'node:fs/promises';
import { ok, type UsageAxis } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { asidePath, fail, patch } from './patch.ts';
import { type StoreMutant, storeMutant } from './store-mutant.ts';

function usageMutant(
  options: Omit<StoreMutant, 'mutate'> & { readonly lie: (axis: UsageAxis) => readonly UsageAxis[] },
): Mutant {
  const { lie, ...mutant } = options;
  return storeMutant({
    ...mutant,
    mutate: (store) =>
      patch(store, (inner) => ({
        usage: async () => (await inner.usage()).map((axes) => axes.flatMap(lie)),
      })),
  });
}

/** What the store says about what can run out. */
export const usageMutants: readonly Mutant[] = [
  usageMutant({
    name: 'usage-tells-an-axis-twice',
    breaks: 'usageAxes',
    seenBy: 'tells each axis once',
    lie: (axis) => [axis, axis],
  }),
  usageMutant({
    name: 'more-used-than-there-is',
    breaks: 'usageAxes',
    seenBy: 'tells each axis once',
    lie: ({ axis, used }) => [{ axis, used, total: used - 1 }],
  }),
  usageMutant({
    name: 'usage-without-bytes',
    breaks: 'usageAxes',
    seenBy: 'tells each axis once',
    lie: (axis) => (axis.axis === 'bytes' ? [] : [axis]),
  }),
  usageMutant({
    name: 'no-bytes-used',
    breaks: 'usageBytes',
    seenBy: 'counts the bytes that are saved',
    lie: (axis) => [axis.axis === 'bytes' ? { ...axis, used: 0 } : axis],
  }),
  storeMutant({
    name: 'usage-as-it-was-at-first',
    breaks: 'usageBytes',
    seenBy: 'counts the bytes that are saved',
    mutate: (store) =>
      patch(store, (inner) => {
        let first: ReturnType<typeof inner.usage> | undefined;
        return {
          usage() {
            first ??= inner.usage();
            return first;
          },
        };
      }),
  }),
  usageMutant({
    name: 'objects-not-counted',
    breaks: 'usageObjects',
    seenBy: 'counts one object more',
    lie: (axis) => [axis.axis === 'objects' ? { ...axis, used: 1 } : axis],
  }),
  storeMutant({
    name: 'reclaimed-fails-without-removals',
    breaks: 'reclaimed',
    seenBy: 'settles `reclaimed` also where nothing was removed',
    mutate: (store) => patch(store, () => ({ reclaimed: async () => fail('there is nothing to wait for') })),
  }),
  storeMutant({
    name: 'removed-into-the-trash',
    breaks: 'reclaimedSpace',
    seenBy: 'has space again when `reclaimed` settles',
    mutate: (store, { disk, aside }) =>
      patch(store, () => ({
        async remove(key) {
          disk.snapshots.delete(key);
          await rename(disk.saved(key), await asidePath(aside));
          return ok();
        },
        reclaimed: async () => ok(),
      })),
  }),
];
