import type { Survivors } from './survivor.ts';

const SLASH =
  'A path to a directory leads to the same one with a slash at its end as with a slash and a dot.';

export const PLAN: Survivors = {
  'plan/manifest.ts': [
    {
      within: 'manifestOf',
      names: ["'' → 'mutant' #2"],
      why: 'ManifestHash takes the hash of a file alone; this one is of a link or a directory.',
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
  'plan/pacer.ts': [
    {
      within: 'pacer',
      names: ['performance.now() - start < TURN_MS → performance.now() - start <= TURN_MS'],
      why: 'A slice is longer only if a call comes exactly 10 ms after its start, to the last digit of the clock.',
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
      within: 'SourceWalk.locate',
      names: ["'.' → ''", "'.' → '' #2", "'.' → '' #3"],
      why: SLASH,
    },
    {
      within: 'SourceWalk.locate',
      names: [
        "{ below: TREE_ROOT, host: this.#root, name: '.', depth: 0 } → { below: TREE_ROOT, host: this.#root, name: '.' }",
        '0 → 1',
        ', depth: this.#directory.depth → ∅',
      ],
      why: 'The walk is in the directory of its source when it looks at the source: there is nothing to leave before.',
    },
    {
      within: 'SourceWalk.#look',
      names: ["'.' → ''"],
      why: SLASH,
    },
    {
      within: 'SourceWalk.#look',
      names: ['isRoot → false'],
      why: 'Only slower: a root that is entered from itself is the same directory.',
    },
    {
      within: 'SourceWalk.#look',
      names: ['into.isErr() → false'],
      why: 'Only a directory that is exchanged between two system calls of the same moment would show it.',
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
