import { chmod, readdir, rm, stat } from 'node:fs/promises';
import { type CacheCopy, ok, orThrow, runCommand, toCacheId } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { onCheckOut, patch, pathOf, replaceBy } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** What a cache keeps, and for whom. */
export const cacheMutants: readonly Mutant[] = [
  storeMutant({
    name: 'fresh-cache-for-its-owner-only',
    breaks: 'freshCache',
    seenBy: 'gives an empty volume of the given owner',
    mutate: (store) => onCheckOut(store, async ({ volume }) => chmod(await pathOf(volume), 0o700)),
  }),
  storeMutant({
    name: 'cache-of-root',
    breaks: 'freshCache',
    seenBy: 'gives an empty volume of the given owner',
    needs: ['root'],
    mutate: (store) =>
      patch(store.caches, (inner) => ({ checkOut: (id) => inner.checkOut(id, { uid: 0, gid: 0 }) })),
  }),
  storeMutant({
    name: 'cache-copied-file-by-file',
    breaks: 'newestCache',
    seenBy: 'gives what was published last',
    mutate: (store, { disk }) =>
      onCheckOut(store, async ({ volume }, id) => {
        const newest = disk.caches.get(id);
        if (newest)
          await replaceBy(await pathOf(volume), newest, ['-PR', '--preserve=mode,ownership,timestamps']);
      }),
  }),
  storeMutant({
    name: 'cache-copy-is-hard-links',
    breaks: 'privateCopy',
    seenBy: 'gives each user a copy of its own',
    mutate: (store, { disk }) =>
      onCheckOut(store, async ({ volume }, id) => {
        const newest = disk.caches.get(id);
        if (newest) await replaceBy(await pathOf(volume), newest, ['-al']);
      }),
  }),
  storeMutant({
    name: 'cache-loser-published',
    breaks: 'droppedCopy',
    seenBy: 'keeps the newest version when a copy is disposed',
    mutate: (store) =>
      onCheckOut(store, (copy) =>
        patch(copy, (inner) => {
          let hasEnded = false;
          const publish = async () => {
            hasEnded = true;
            return inner.publish();
          };
          return { publish, [Symbol.asyncDispose]: async () => void (hasEnded || (await publish())) };
        }),
      ),
  }),
  storeMutant({
    name: 'publish-merges',
    breaks: 'published',
    seenBy: 'publishes a later copy whole',
    mutate: (store, { disk }) =>
      onCheckOut(store, (copy, id) =>
        patch(copy, (inner) => ({
          async publish() {
            const newest = disk.caches.get(id);
            if (newest) orThrow(await runCommand('cp', ['-aTn', newest, await pathOf(copy.volume)]));
            return inner.publish();
          },
        })),
      ),
  }),
  storeMutant({
    name: 'opaque-directory-lost',
    breaks: 'published',
    seenBy: 'loses what was deleted, replaced or renamed (V4)',
    mutate: (store, { disk }) =>
      onCheckOut(store, (copy, id) =>
        patch(copy, (inner) => ({
          async publish() {
            const newest = disk.caches.get(id);
            if (newest) await mergeDirectories(newest, await pathOf(copy.volume));
            return inner.publish();
          },
        })),
      ),
  }),
  storeMutant({
    name: 'unchanged-if-the-directory-is',
    breaks: 'changed',
    seenBy: 'says that a copy changed whatever was changed',
    mutate: (store) =>
      onCheckOut(store, async (copy) => {
        const before = await changeTime(copy);
        patch(copy, () => ({ changed: async () => ok((await changeTime(copy)) !== before) }));
      }),
  }),
  storeMutant({
    name: 'cache-names-simplified',
    breaks: 'cacheNames',
    seenBy: 'keeps apart names that differ in any way',
    mutate(store) {
      const names = new Set<ReturnType<typeof toCacheId>>();
      patch(store.caches, (inner) => ({
        checkOut(id, owner) {
          names.add(id);
          return inner.checkOut(toCacheId(id.replace(/[^A-Za-z0-9]/g, '_')), owner);
        },
        list: async () => ok([...names]),
      }));
    },
  }),
  storeMutant({
    name: 'lists-caches-that-were-only-checked-out',
    breaks: 'listedCaches',
    seenBy: 'gives an empty volume of the given owner',
    mutate(store) {
      const names = new Set<ReturnType<typeof toCacheId>>();
      onCheckOut(store, (_, id) => names.add(id));
      patch(store.caches, () => ({ list: async () => ok([...names]) }));
    },
  }),
  storeMutant({
    name: 'remove-empties-copies',
    breaks: 'removedCache',
    seenBy: 'removes a cache, and what is not there',
    mutate(store) {
      const copies: CacheCopy[] = [];
      onCheckOut(store, (copy) => copies.push(copy));
      patch(store.caches, (inner) => ({
        async remove(id) {
          for (const { volume } of copies) {
            const path = await pathOf(volume).catch(() => undefined);
            for (const name of path ? await readdir(path) : [])
              await rm(`${path}/${name}`, { recursive: true });
          }
          return inner.remove(id);
        },
      }));
    },
  }),
  storeMutant({
    name: 'caches-gone-at-restart',
    breaks: 'reopenedCache',
    seenBy: 'keeps what was published when it is opened again',
    mutate(_, { disk, opened }) {
      if (opened > 1) disk.caches.clear();
    },
  }),
];

/** As an upper directory is merged into a lower one when what makes it opaque is lost. */
async function mergeDirectories(lower: string, upper: string): Promise<void> {
  const script =
    'cd "$1"; find . -mindepth 2 -type f -exec sh -c \'for f; do [ ! -d "$0/${f%/*}" ] || [ -e "$0/$f" ] || cp -p "$f" "$0/$f"; done\' "$2" {} +';
  orThrow(await runCommand('sh', ['-euc', script, 'sh', lower, upper]));
}

async function changeTime({ volume }: CacheCopy): Promise<number> {
  return (await stat(await pathOf(volume))).mtimeMs;
}
