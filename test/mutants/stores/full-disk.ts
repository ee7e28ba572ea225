import { err, ok, type Result, type StepKey, type StoreError } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { onCheckOut, onPrepare, patch } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** What happens on a disk that has no room left. */
export const fullDiskMutants: readonly Mutant[] = [
  storeMutant({
    name: 'a-full-disk-is-any-failure',
    breaks: 'noSpace',
    seenBy: 'saves a step or answers `no-space`',
    mutate: (store) =>
      onPrepare(store, (active) =>
        patch(active, (inner) => ({
          commit: async () =>
            (await inner.commit()).mapErr((error) => ({
              type: 'failed',
              message: `cannot save: ${error.type}`,
            })),
        })),
      ),
  }),
  storeMutant({
    name: 'lists-what-did-not-fit',
    breaks: 'noSpace',
    seenBy: 'saves a step or answers `no-space`',
    mutate(store) {
      const unsaved: StepKey[] = [];
      onPrepare(store, (active, { key }) =>
        patch(active, (inner) => ({
          commit: async () =>
            (await inner.commit()).mapErr((error) => {
              unsaved.push(key);
              return error;
            }),
        })),
      );
      patch(store, (inner) => ({
        list: async () => (await inner.list()).map((keys) => [...keys, ...unsaved]),
      }));
    },
  }),
  storeMutant({
    name: 'drops-the-old-version-for-one-that-does-not-fit',
    breaks: 'noSpace',
    seenBy: 'keeps the version of a cache that it has',
    mutate: (store) =>
      onCheckOut(store, (copy, id) =>
        patch(copy, (inner) => ({
          async publish() {
            const published = await inner.publish();
            if (published.isErr()) await store.caches.remove(id);
            return published;
          },
        })),
      ),
  }),
  storeMutant({
    name: 'writes-a-journal-before-it-removes',
    breaks: 'fullRemove',
    seenBy: 'removes a snapshot, after which there is room',
    mutate: (store) =>
      patch(store, (inner) => ({
        async remove(key): Promise<Result<void, StoreError>> {
          const [bytes] = (await inner.usage()).unwrapOr([]);
          const room = (bytes?.total ?? Number.POSITIVE_INFINITY) - (bytes?.used ?? 0);
          if (room < JOURNAL_BYTES) return err({ type: 'no-space', message: 'no room for the journal' });
          return inner.remove(key);
        },
      })),
  }),
  storeMutant({
    name: 'hides-what-it-should-remove',
    breaks: 'fullRemove',
    seenBy: 'removes a snapshot, after which there is room',
    mutate: (store, { disk }) =>
      patch(store, () => ({
        async remove(key) {
          disk.snapshots.delete(key);
          return ok();
        },
      })),
  }),
];

/** Where {@link storeMutant} makes a small place, less than another snapshot of the tests takes. */
const JOURNAL_BYTES = 8 * 1024 * 1024;
