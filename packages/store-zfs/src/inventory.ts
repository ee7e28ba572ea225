import {
  type CacheId,
  isStepKey,
  isVolumeName,
  type StepKey,
  toCacheId,
  type VolumeName,
} from '@snapstep/core/backend';
import { textOf } from './dataset-name.ts';
import { isBelowAny, type Layout, SNAP } from './layout.ts';
import type { DatasetRow } from './zfs.ts';

/** A volume that is saved, as ZFS knows it. */
export interface VolumeRow {
  readonly name: VolumeName;
  readonly dataset: string;
  readonly mountpoint: string;
  /** Whether something was written since the snapshot was taken. */
  readonly isTouched: boolean;
  /** Of its snapshot. */
  readonly guid: string;
}

export interface VersionRow {
  readonly dataset: string;
  readonly number: number;
  readonly origin: string | undefined;
}

/** What a killed owner left mounted. */
export interface MountedRow {
  readonly dataset: string;
  readonly mountpoint: string;
  /** What it is part of, if that is a leftover. */
  readonly leftover: string | undefined;
}

/** What lies in the dataset of a store. */
export interface Inventory {
  /** The datasets and snapshots there are. */
  readonly names: ReadonlySet<string>;
  readonly results: ReadonlyMap<StepKey, readonly VolumeRow[]>;
  readonly images: ReadonlyMap<
    string,
    { readonly version: VersionRow; readonly volumes: readonly VolumeRow[] }
  >;
  readonly caches: ReadonlyMap<CacheId, VersionRow>;
  /** What nobody needs: unfinished, half destroyed, replaced. Newest last. */
  readonly leftovers: readonly string[];
  readonly mounted: readonly MountedRow[];
  /** Greater than the number of each version. */
  readonly nextVersion: number;
}

/** Makes sense of what `zfs list` says. What is not complete is a leftover (Z15, M1). */
export function takeInventory(layout: Layout, rows: readonly DatasetRow[]): Inventory {
  const tree = new Tree(rows);
  const results = new Map<StepKey, readonly VolumeRow[]>();
  const leftovers = [...tree.childrenOf(layout.cacheCopies), ...tree.childrenOf(layout.trash)];
  for (const dataset of tree.childrenOf(layout.results)) {
    const key = nameIn(dataset);
    const volumes = tree.volumesOf(dataset);
    if (isStepKey(key) && volumes !== undefined) results.set(key, volumes);
    else leftovers.push(dataset);
  }
  const images = imagesIn(tree, { layout, leftovers });
  const caches = cachesIn(tree, { layout, leftovers });
  const mounted = rows.filter((row) => row.mounted === 'yes' && isBelowAny(row.name, layout.containers));
  const leftoverOf = (name: string) => leftovers.find((left) => name === left || name.startsWith(`${left}/`));
  return {
    ...{ names: tree.names, results, images, caches, leftovers },
    mounted: mounted.map(({ name, mountpoint }) => ({
      ...{ dataset: name, mountpoint },
      leftover: leftoverOf(name),
    })),
    nextVersion: 1 + rows.reduce((highest, { name }) => Math.max(highest, versionIn(layout, name)), 0),
  };
}

interface Sorting {
  readonly layout: Layout;
  readonly leftovers: string[];
}

function imagesIn(tree: Tree, { layout, leftovers }: Sorting): Inventory['images'] {
  const images = new Map<string, { version: VersionRow; volumes: readonly VolumeRow[] }>();
  for (const container of tree.childrenOf(layout.images)) {
    const name = textOf(nameIn(container));
    const isWhole = (version: VersionRow) => tree.volumesOf(version.dataset) !== undefined;
    const newest = tree.newestOf(container, { isWhole, leftovers });
    const volumes = newest && tree.volumesOf(newest.dataset);
    if (name === undefined || newest === undefined || volumes === undefined) leftovers.push(container);
    else images.set(name, { version: newest, volumes });
  }
  return images;
}

function cachesIn(tree: Tree, { layout, leftovers }: Sorting): Inventory['caches'] {
  const caches = new Map<CacheId, VersionRow>();
  for (const container of tree.childrenOf(layout.caches)) {
    const id = tree.cacheIdOf(container);
    const isWhole = ({ dataset, number }: VersionRow) => tree.names.has(`${dataset}@v${number}`);
    const newest = tree.newestOf(container, { isWhole, leftovers });
    if (id === undefined || newest === undefined) leftovers.push(container);
    else caches.set(id, newest);
  }
  return caches;
}

/** The datasets by their names. */
class Tree {
  readonly names: ReadonlySet<string>;
  readonly #rows: ReadonlyMap<string, DatasetRow>;
  readonly #children = new Map<string, string[]>();

  constructor(rows: readonly DatasetRow[]) {
    this.#rows = new Map(rows.map((row) => [row.name, row]));
    this.names = new Set(this.#rows.keys());
    for (const { name } of rows) {
      if (name.includes('@')) continue;
      const parent = name.slice(0, name.lastIndexOf('/'));
      const siblings = this.#children.get(parent);
      if (siblings) siblings.push(name);
      else this.#children.set(parent, [name]);
    }
  }

  childrenOf(dataset: string): readonly string[] {
    return this.#children.get(dataset) ?? [];
  }

  /** Undefined unless all volumes that its snapshot names are there, each with a snapshot of its own. */
  volumesOf(dataset: string): readonly VolumeRow[] | undefined {
    const names = this.#rows.get(`${dataset}@${SNAP}`)?.['snapstep:volumes'];
    if (names === undefined || names === '-') return undefined;
    const volumes = names.split(',').map((name) => this.#volume(`${dataset}/${name}`));
    return volumes.every((volume) => volume !== undefined) ? volumes : undefined;
  }

  cacheIdOf(container: string): CacheId | undefined {
    const property = this.#rows.get(container)?.['snapstep:id'] ?? '-';
    const text = property === '-' ? textOf(nameIn(container)) : Buffer.from(property, 'base64url').toString();
    return text === undefined ? undefined : toCacheId(text);
  }

  /** Of versions named `v` and a number; the others go to `leftovers`, unless there is no whole one at all. */
  newestOf(
    container: string,
    { isWhole, leftovers }: { isWhole(version: VersionRow): boolean; readonly leftovers: string[] },
  ): VersionRow | undefined {
    const versions = this.childrenOf(container).map((dataset) => this.#version(dataset));
    const newest = versions.filter(isWhole).sort((a, b) => b.number - a.number)[0];
    if (newest === undefined) return undefined;
    leftovers.push(...versions.map(({ dataset }) => dataset).filter((dataset) => dataset !== newest.dataset));
    return newest;
  }

  #version(dataset: string): VersionRow {
    const origin = this.#rows.get(dataset)?.origin;
    const number = Number(/^v(\d{1,15})$/.exec(nameIn(dataset))?.[1] ?? -1);
    return { dataset, number, origin: origin === '-' ? undefined : origin };
  }

  #volume(dataset: string): VolumeRow | undefined {
    const name = nameIn(dataset);
    const row = this.#rows.get(dataset);
    const snapshot = this.#rows.get(`${dataset}@${SNAP}`);
    if (row === undefined || snapshot === undefined || !isVolumeName(name)) return undefined;
    const isTouched = Number(row.written) > 0;
    return {
      name,
      dataset,
      mountpoint: row.mountpoint,
      isTouched,
      guid: snapshot.guid,
    };
  }
}

/** The number in the name of a version or of its snapshot; 0 for other names. */
function versionIn({ caches, cacheCopies, images }: Layout, name: string): number {
  const container = [caches, cacheCopies, images].find((one) => name.startsWith(`${one}/`));
  if (container === undefined) return 0;
  const [, version = '', snapshot = ''] = name.slice(container.length + 1).split(/[/@]/);
  const numbered = container === caches ? [version, snapshot] : [version];
  return Math.max(0, ...numbered.map((word) => Number(/^v(\d{1,15})$/.exec(word)?.[1] ?? 0)));
}

function nameIn(dataset: string): string {
  return dataset.slice(dataset.lastIndexOf('/') + 1);
}
