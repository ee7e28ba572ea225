import type { Survivors } from './survivor.ts';

export const PLAN: Survivors = {
  'plan/manifest.ts': [
    {
      within: 'manifestOf',
      names: ["'' → 'mutant' #2"],
      why: 'ManifestHash takes the hash of a file alone; this one is of a link or a directory.',
    },
    {
      within: 'pacer',
      names: ['performance.now() - start < SLICE_MS → performance.now() - start <= SLICE_MS'],
      why: 'A slice is longer only if a call comes exactly 10 ms after its start, to the last digit of the clock.',
    },
    {
      within: 'hashFile',
      names: ['size: entry.stat.size, → ∅'],
      why: 'Only slower: without a size, another read finds the end of the file.',
    },
    {
      within: 'hashContent',
      names: ['BigInt(first.length) === size → false'],
      why: 'Only slower: another read finds the end of the file, and the digest is the same.',
    },
  ],
  'plan/stages.ts': [
    {
      within: 'Said.#isEnvNew',
      names: ['false → true'],
      why: 'Only slower: before anything is said, an empty environment is made once more.',
    },
  ],
  'plan/source-walk.ts': [
    {
      within: 'SourceWalk.#checkOnTheWay',
      names: ['bigint: true, → ∅', 'true → false'],
      why: 'Numbers name the same inode up to 2^53; disks with inodes above it, such as overlayfs with xino, no quick test can mount.',
    },
    {
      within: 'SourceWalk.#look',
      names: ['{ entry: entry.value, children: [], waits } → { entry: entry.value, children: [] }'],
      why: 'The verdict of what is not a directory is never "look", so it does not wait.',
    },
    {
      within: 'SourceWalk.#look',
      names: ["readdirSync(toFsPath(here), 'latin1') .sort() → readdirSync(toFsPath(here), 'latin1')"],
      why: 'libuv sorts names by their bytes already (uv__fs_scandir_sort), which it does not promise.',
    },
  ],
};
