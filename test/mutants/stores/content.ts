import { lstat, readdir, rename, rm, stat, utimes } from 'node:fs/promises';
import { join } from 'node:path';
import type { Mutant } from '../mutant.ts';
import { spoilCopies, spoilWith } from './patch.ts';
import { type StoreMutant, storeMutant } from './store-mutant.ts';

/** A copy that loses something. Each script runs in the volume of a child right after it was copied. */
function copyMutant(options: Omit<StoreMutant, 'mutate'> & { readonly script: string }): Mutant {
  const { script, ...mutant } = options;
  return storeMutant({ ...mutant, mutate: spoilWith(script) });
}

/** A file by another one that `cp` made with these options. */
function copiedAgain(find: string, options: string): string {
  return `find . ${find} -exec sh -c 'cp ${options} "$1" "$1.new" && mv "$1.new" "$1"' sh {} ';'`;
}

export const contentMutants: readonly Mutant[] = [
  copyMutant({
    name: 'setuid-dropped',
    breaks: 'modes',
    seenBy: 'keeps modes',
    script: 'find . -type f -exec chmod ug-s {} +',
  }),
  copyMutant({
    name: 'volume-mode-reset',
    breaks: 'volumeMode',
    seenBy: 'keeps the mode and the times of the volume itself',
    script: 'chmod 0755 .; chmod g-s .',
  }),
  copyMutant({
    name: 'absolute-links-made-relative',
    breaks: 'symlinks',
    seenBy: 'keeps symbolic links',
    script: `find . -type l -lname '/*' -exec sh -c 'ln -sfn ".$(readlink "$1")" "$1"' sh {} ';'`,
  }),
  copyMutant({
    name: 'nanoseconds-cut',
    breaks: 'times',
    seenBy: 'keeps times to the nanosecond',
    script: `find . -depth -exec sh -c 'touch -h -d "@$(stat -c %Y "$1")" "$1"' sh {} ';'`,
  }),
  copyMutant({
    name: 'hard-links-split',
    breaks: 'hardLinks',
    seenBy: 'keeps names that are one file',
    script: copiedAgain('-type f -links +1', '-p'),
  }),
  copyMutant({
    name: 'identical-files-linked',
    breaks: 'hardLinks',
    seenBy: 'tells two files of one content apart',
    script: '[ ! -e a ] || ! cmp -s a b || ln -f a b',
  }),
  copyMutant({
    name: 'fifos-skipped',
    breaks: 'pipes',
    seenBy: 'keeps a named pipe',
    script: 'find . -type p -delete',
  }),
  copyMutant({
    name: 'sockets-skipped',
    breaks: 'sockets',
    seenBy: 'keeps a socket',
    script: 'find . -type s -delete',
  }),
  copyMutant({
    name: 'holes-filled',
    breaks: 'holes',
    seenBy: 'keeps holes as holes',
    script: copiedAgain('-type f -size +1M', '-p --sparse=never --reflink=never'),
  }),
  copyMutant({
    name: 'attributes-dropped',
    breaks: 'attributes',
    seenBy: 'keeps extended attributes of files',
    script: copiedAgain('-type f', '--preserve=mode,ownership,timestamps'),
  }),
  copyMutant({
    name: 'access-lists-dropped',
    breaks: 'accessLists',
    seenBy: 'keeps access control lists',
    script: copiedAgain('-type f', '--preserve=ownership,timestamps,xattr'),
  }),
  copyMutant({
    name: 'capabilities-dropped',
    breaks: 'capabilities',
    seenBy: 'keeps the capabilities of a program',
    needs: ['root'],
    script: `find . -type f -exec sh -c 'chown "$(stat -c %u:%g "$1")" "$1"' sh {} ';'`,
  }),
  copyMutant({
    name: 'owners-cut-to-16-bits',
    breaks: 'owners',
    seenBy: 'keeps owners of any number',
    needs: ['root'],
    script: `find . -exec sh -c 'chown -h "$(($(stat -c %u "$1") & 65535))" "$1"' sh {} ';'`,
  }),
  copyMutant({
    name: 'devices-skipped',
    breaks: 'devices',
    seenBy: 'keeps device nodes',
    needs: ['root'],
    script: 'find . -type b -delete; find . -type c -delete',
  }),
  storeMutant({
    name: 'names-reencoded',
    breaks: 'names',
    seenBy: 'not valid UTF-8',
    mutate: (store) =>
      spoilCopies(store, async (path) => {
        for (const name of await readdir(Buffer.from(path), { encoding: 'buffer' })) {
          const before = Buffer.concat([Buffer.from(`${path}/`), name]);
          await rename(before, join(path, name.toString('utf8'))).catch(() => {});
        }
      }),
  }),
  storeMutant({
    name: 'long-names-cut',
    breaks: 'longNames',
    seenBy: 'keeps names of 255 bytes',
    mutate: (store) =>
      spoilCopies(store, async (path) => {
        const { atime, mtime } = await stat(path);
        for (const name of await readdir(path))
          await rename(join(path, name), join(path, name.slice(0, 143)));
        await utimes(path, atime, mtime);
      }),
  }),
  copyMutant({
    name: 'deep-paths-skipped',
    breaks: 'deepPaths',
    seenBy: 'keeps paths of 3,000 bytes',
    script: 'find . -mindepth 12 -delete',
  }),
  copyMutant({
    name: 'empty-directories-lost',
    breaks: 'emptyDirectories',
    seenBy: 'keeps a directory that has nothing in it',
    script: 'find . -mindepth 1 -type d -empty -delete',
  }),
  storeMutant({
    name: 'long-directories-cut',
    breaks: 'manyEntries',
    seenBy: 'keeps 10,000 entries',
    mutate: (store) =>
      spoilCopies(store, async (path) => {
        for (const name of await readdir(path)) {
          if (!(await lstat(join(path, name))).isDirectory()) continue;
          const entries = await readdir(join(path, name));
          for (const late of entries.slice(1000)) await rm(join(path, name, late), { recursive: true });
        }
      }),
  }),
];
