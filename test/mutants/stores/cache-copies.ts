import { chmod } from 'node:fs/promises';
import { orThrow, runCommand, type StepKey, type Volume } from '@snapstep/core/backend';
import type { Mutant } from '../mutant.ts';
import { onCheckOut, patch } from './patch.ts';
import { storeMutant } from './store-mutant.ts';

/** Copies of caches that lose something, each in the same way whenever it is copied. */
export const cacheCopyMutants: readonly Mutant[] = [
  storeMutant({
    name: 'cache-given-to-its-next-user',
    breaks: 'newestCache',
    seenBy: 'gives what was published last',
    needs: ['root'],
    mutate: (store) =>
      patch(store.caches, (inner) => ({
        async checkOut(id, owner) {
          const copy = await inner.checkOut(id, owner);
          if (copy.isErr()) return copy;
          await using mount = orThrow(await copy.value.volume.mount());
          orThrow(await runCommand('chown', ['-Rh', `${owner.uid}:${owner.gid}`, mount.path]));
          return copy;
        },
      })),
  }),
  storeMutant({
    name: 'cache-mode-reset',
    breaks: 'newestCache',
    seenBy: 'gives what was published last',
    mutate: (store) =>
      onCheckOut(store, async ({ volume }) => {
        await using mount = orThrow(await volume.mount());
        await chmod(mount.path, 0o755);
        orThrow(await runCommand('chmod', ['g-s', mount.path]));
      }),
  }),
  storeMutant({
    name: 'cache-attributes-dropped',
    breaks: 'newestCache',
    seenBy: 'keeps extended attributes in a cache',
    mutate: (store) => onCheckOut(store, ({ volume }) => copyAgain(volume, '-p')),
  }),
  storeMutant({
    name: 'cache-holes-filled',
    breaks: 'newestCache',
    seenBy: 'keeps holes as holes in a cache',
    mutate: (store) =>
      onCheckOut(store, ({ volume }) => copyAgain(volume, '-a --sparse=never --reflink=never')),
  }),
  storeMutant({
    name: 'caches-among-snapshots',
    breaks: 'listed',
    seenBy: 'keeps apart names that differ in any way',
    mutate(store) {
      patch(store, (inner) => ({
        list: async () => {
          const caches = orThrow(await store.caches.list());
          const keys = caches.filter((id) => /^[0-9a-f]{64}$/.test(id)) as readonly string[];
          return (await inner.list()).map((found) => [...found, ...(keys as readonly StepKey[])]);
        },
      }));
    },
  }),
];

async function copyAgain(volume: Volume, options: string): Promise<void> {
  await using mount = orThrow(await volume.mount());
  const script = `cd "$0"; find . -type f -exec sh -c 'cp ${options} "$1" "$1.new" && mv "$1.new" "$1"' sh {} ';'`;
  orThrow(await runCommand('sh', ['-euc', script, mount.path]));
}
