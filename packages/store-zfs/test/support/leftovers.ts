import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { execa } from 'execa';

/** The datasets and snapshots of a store. */
export async function datasetsIn(dataset: string): Promise<readonly string[]> {
  const args = ['list', '-Hp', '-r', '-t', 'filesystem,snapshot', '-o', 'name', dataset];
  return (await execa('zfs', args)).stdout.split('\n').map((name) => name.slice(dataset.length + 1));
}

/** What is mounted of a dataset and all below it, at which places. */
export async function mountsOf(dataset: string): Promise<readonly string[]> {
  const lines = (await readFile('/proc/self/mounts', 'utf8')).split('\n').map((line) => line.split(' '));
  return lines
    .filter(([source = '']) => source === dataset || source.startsWith(`${dataset}/`))
    .map(([, at = '']) => at);
}

/** What is neither saved nor the store's own: attempts, trash, older versions, mounts and mount points. */
export async function leftoversIn(place: {
  readonly dataset: string;
  readonly directory: string;
}): Promise<readonly string[]> {
  const names = await datasetsIn(place.dataset);
  const all = new Set(names);
  const unfinished = names.filter(
    (name) =>
      /^(cache-tmp|trash)\//.test(name) || (/^result\/[^/@]+$/.test(name) && !all.has(`${name}@snap`)),
  );
  return [
    ...unfinished,
    ...olderVersions(names),
    ...(await mountsOf(place.dataset)),
    ...(await readdir(join(place.directory, 'mnt'))),
  ];
}

/** A cache has one version with one snapshot, an image one version. */
function olderVersions(names: readonly string[]): readonly string[] {
  const versions = names.filter((name) => /^(cache|base-image)\/[^/]+\/[^/@]+(@.*)?$/.test(name));
  const seen = new Set<string>();
  return versions.filter((name) => {
    const kind = `${name.split('/').slice(0, 2).join('/')} ${name.includes('@')}`;
    return seen.has(kind) || !seen.add(kind);
  });
}
