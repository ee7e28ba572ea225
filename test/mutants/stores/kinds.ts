import {
  type CacheId,
  orThrow,
  runCommand,
  type StepKey,
  type Store,
  type Volume,
  type Volumes,
} from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import {
  fail,
  onCheckOut,
  onCommit,
  onPrepare,
  patch,
  pathOf,
  pathOfSaved,
  spoilCopies,
  spoilWith,
} from './patch.ts';
import { storeMutant } from './store-mutant.ts';

const DROP_LEVELS = 'find . -mindepth 50 -delete';

/** What is more, deeper, older or more alike than the author thought of; and what is no plain file. */
export const kindMutants: readonly Mutant[] = [
  storeMutant({
    name: 'deep-trees-cut',
    breaks: 'deepPaths',
    seenBy: 'keeps 1,000 directories in one another',
    mutate: spoilWith(DROP_LEVELS),
  }),
  storeMutant({
    name: 'deep-caches-cut',
    breaks: 'newestCache',
    seenBy: 'keeps paths of 6,000 bytes in a cache',
    mutate: (store) =>
      onCheckOut(store, async ({ volume }) => script(DROP_LEVELS, { cwd: await pathOf(volume) })),
  }),
  storeMutant({
    name: 'keys-cut-to-their-ends',
    breaks: 'keysApart',
    seenBy: 'keeps apart keys that differ in one digit',
    mutate: (store) => cutKeys(store, (key) => `${'0'.repeat(32)}${key.slice(32)}`),
  }),
  storeMutant({
    name: 'keys-cut-to-their-beginnings',
    breaks: 'keysApart',
    seenBy: 'keeps apart keys that differ in one digit',
    mutate: (store) => cutKeys(store, (key) => `${key.slice(0, 60)}${'0'.repeat(4)}`),
  }),
  storeMutant({
    name: 'caches-removed-by-how-they-begin',
    breaks: 'removeOtherCaches',
    seenBy: 'removes one cache, and none whose name begins',
    mutate: (store) => removeCachesThat(store, (other, id) => other.startsWith(id)),
  }),
  storeMutant({
    name: 'caches-removed-without-regard-to-case',
    breaks: 'removeOtherCaches',
    seenBy: 'removes one cache, and none whose name begins',
    mutate: (store) => removeCachesThat(store, (other, id) => other.toLowerCase() === id.toLowerCase()),
  }),
  storeMutant({
    name: 'commit-answers-one-volume',
    breaks: 'committedKey',
    seenBy: 'answers a commit with every volume',
    mutate: (store) => answerCommits(store, (volumes) => new Map([...volumes].slice(0, 1))),
  }),
  storeMutant({
    name: 'commit-answers-volumes-in-turn',
    breaks: 'committedKey',
    seenBy: 'answers a commit with every volume',
    mutate: (store) =>
      answerCommits(store, (volumes) => {
        const values = [...volumes.values()];
        return new Map([...volumes.keys()].map((name, at) => [name, values.at(at - 1) as Volume]));
      }),
  }),
  storeMutant({
    name: 'lists-40-snapshots',
    breaks: 'listed',
    seenBy: 'keeps a chain of 150 snapshots',
    mutate: (store) =>
      patch(store, (inner) => ({ list: async () => (await inner.list()).map((keys) => keys.slice(0, 40)) })),
  }),
  storeMutant({
    name: 'lists-16-caches',
    breaks: 'listedCaches',
    seenBy: 'keeps and lists 20 caches',
    mutate: ({ caches }) =>
      patch(caches, (inner) => ({ list: async () => (await inner.list()).map((ids) => ids.slice(0, 16)) })),
  }),
  storeMutant({
    name: 'copies-10-volumes',
    breaks: 'askedVolumes',
    seenBy: 'keeps 14 volumes of one snapshot',
    mutate: (store) =>
      onPrepare(store, (active) =>
        patch(active, ({ volumes }) => ({ volumes: new Map([...volumes].slice(0, 10)) })),
      ),
  }),
  storeMutant({
    name: 'mounts-32-times',
    breaks: 'ownMounts',
    seenBy: 'mounts one volume 40 times at once',
    mutate: limitMounts,
  }),
  storeMutant({
    name: 'hard-links-beyond-64-split',
    breaks: 'hardLinks',
    seenBy: 'keeps 300 names of one file',
    mutate: spoilWith(`t=$(stat -c %y .); n=0; for f in *; do n=$((n + 1));
      [ "$n" -le 64 ] || { cp -p "$f" .new; mv .new "$f"; }; done; touch -d "$t" .`),
  }),
  storeMutant({
    name: 'special-bits-of-directories-dropped',
    breaks: 'modes',
    seenBy: 'keeps modes of directories and pipes',
    mutate: spoilWith('find . -mindepth 1 -type d -exec chmod u-s,g-s,-t {} +'),
  }),
  storeMutant({
    name: 'pipes-made-anew',
    breaks: 'modes',
    seenBy: 'keeps modes of directories and pipes',
    mutate: spoilWith('find . -type p -exec chmod 644 {} +'),
  }),
  storeMutant({
    name: 'times-in-32-bits',
    breaks: 'times',
    seenBy: 'keeps times to the nanosecond',
    mutate: spoilWith('find . -type f -newermt 2038-01-20 -exec touch -d @2147483647 {} +'),
  }),
  storeMutant({
    name: 'times-of-pipes-lost',
    breaks: 'times',
    seenBy: 'keeps times to the nanosecond',
    mutate: spoilWith('find . -type p -exec touch -c {} +'),
  }),
  storeMutant({
    name: 'last-block-cut',
    breaks: 'contents',
    seenBy: 'keeps files of any size',
    mutate: spoilWith(
      `find . -type f -size +64k -exec sh -c 't=$(stat -c %y "$1"); truncate -s /4096 "$1"; touch -d "$t" "$1"' sh {} ';'`,
    ),
  }),
  storeMutant({
    name: 'saved-by-size-and-time',
    breaks: 'writtenSaved',
    seenBy: 'saves what was written though size and time are as before',
    mutate: (store) =>
      onCommit(store, async ({ volumes }, { from }) => {
        const [volume] = volumes.values();
        if (!('snapshot' in from)) return;
        const parent = await pathOfSaved(store, from.snapshot);
        await script(KEEP_ALIKE, { cwd: await pathOf(volume), args: [parent] });
      }),
  }),
  storeMutant({
    name: 'attributes-of-the-volume-dropped',
    breaks: 'volumeMode',
    seenBy: 'keeps extended attributes of the volume itself',
    mutate: (store) => spoilCopies(store, (path) => script(REPLACE_VOLUME, { cwd: '/', args: [path] })),
  }),
];

/** As rsync does by itself: a file of the same size and time is taken for the same. */
const KEEP_ALIKE = `find . -type f -exec sh -c 'for f; do p="$0/$f"; [ -f "$p" ] || continue
  [ "$(stat -c "%s %Y" "$f")" != "$(stat -c "%s %Y" "$p")" ] || cp -p "$p" "$f"; done' "$1" {} +`;

/** Another directory with the same content, mode, owner and times. */
const REPLACE_VOLUME = `t=$(stat -c %y "$1"); mkdir "$1.new"; find "$1" -mindepth 1 -maxdepth 1 -exec mv -t "$1.new" {} +
  chown --reference="$1" "$1.new"; chmod --reference="$1" "$1.new"; rmdir "$1"; mv "$1.new" "$1"; touch -d "$t" "$1"`;

async function script(
  text: string,
  { cwd, args = [] }: { readonly cwd: string; readonly args?: readonly string[] },
): Promise<void> {
  orThrow(await runCommand('sh', ['-euc', text, 'sh', ...args], { cwd }));
}

function cutKeys(store: Store, cutText: (key: StepKey) => string): void {
  const cut = (key: StepKey) => cutText(key) as StepKey;
  patch(store, (inner) => ({
    async prepare({ key, from, ...request }) {
      await inner.remove(cut(key));
      const parent = 'snapshot' in from ? { snapshot: cut(from.snapshot) } : from;
      return inner.prepare({ ...request, key: cut(key), from: parent });
    },
    lookup: async (key) => (await inner.lookup(cut(key))).map((found) => found && { ...found, key }),
    remove: (key) => inner.remove(cut(key)),
  }));
}

function removeCachesThat({ caches }: Store, isAlike: (other: CacheId, id: CacheId) => boolean): void {
  patch(caches, (inner) => ({
    async remove(id) {
      const ids = orThrow(await inner.list());
      for (const other of ids) if (isAlike(other, id)) orThrow(await inner.remove(other));
      return inner.remove(id);
    },
  }));
}

function answerCommits(store: Store, change: (volumes: Volumes) => Volumes): void {
  onPrepare(store, (active) =>
    patch(active, (inner) => ({
      commit: async () =>
        (await inner.commit()).map((saved) => ({ ...saved, volumes: change(saved.volumes) })),
    })),
  );
}

function limitMounts(store: Store): void {
  let count = 0;
  const limited = (volume: Volume): Volume => ({
    name: volume.name,
    async mount() {
      if (count >= 32) return fail('too many mounts');
      const mounted = await volume.mount();
      if (mounted.isErr()) return mounted;
      count += 1;
      return mounted.map((mount) =>
        patch(mount, (inner) => ({
          async [Symbol.asyncDispose]() {
            count -= 1;
            await inner[Symbol.asyncDispose]();
          },
        })),
      );
    },
  });
  patch(store, (inner) => ({
    lookup: async (key) =>
      (await inner.lookup(key)).map(
        (found) =>
          found && {
            key,
            volumes: new Map([...found.volumes].map(([name, volume]) => [name, limited(volume)])),
          },
      ),
  }));
}
