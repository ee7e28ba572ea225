/** What a pool holds, as the fake keeps it between two commands. */
export interface PoolState {
  readonly datasets: Record<string, Dataset>;
  readonly snapshots: Record<string, Snapshot>;
  /** Counts up: the order in which things were made, and their guids. */
  next: number;
}

export interface Dataset {
  readonly guid: number;
  readonly properties: Record<string, string>;
  /** The snapshot that it was cloned from. */
  origin?: string;
  /** Nothing is mounted by the fake; it only remembers that something would be. */
  isMounted: boolean;
  /** What `written` shows. Whoever wants something written since says so. */
  written: number;
}

export interface Snapshot {
  readonly guid: number;
  readonly properties: Record<string, string>;
  /** It goes with the last clone of it. */
  isDeferred: boolean;
}

export function emptyPool(name: string): PoolState {
  const top: Dataset = { guid: 1, properties: { mountpoint: 'none' }, isMounted: false, written: 0 };
  return { datasets: { [name]: top }, snapshots: {}, next: 2 };
}

export function parentOf(dataset: string): string {
  return dataset.slice(0, Math.max(dataset.lastIndexOf('/'), 0));
}

export function isBelow(name: string, dataset: string): boolean {
  return name === dataset || name.startsWith(`${dataset}/`);
}

/** The dataset and all below it, parents first, in the order of their names. */
export function tree(pool: PoolState, dataset: string): string[] {
  const names = Object.keys(pool.datasets).filter((name) => isBelow(name, dataset));
  return names.sort((a, b) => compare(a.split('/'), b.split('/')));
}

/** Oldest first. */
export function snapshotsOf(pool: PoolState, dataset: string): string[] {
  const names = Object.keys(pool.snapshots).filter((name) => name.startsWith(`${dataset}@`));
  return names.sort((a, b) => (pool.snapshots[a]?.guid ?? 0) - (pool.snapshots[b]?.guid ?? 0));
}

export function clonesOf(pool: PoolState, snapshot: string): string[] {
  return Object.keys(pool.datasets).filter((name) => pool.datasets[name]?.origin === snapshot);
}

const DEFAULTS: Readonly<Record<string, string>> = {
  ...{ canmount: 'on', atime: 'on', snapdir: 'hidden', acltype: 'off', xattr: 'on' },
  ...{ quota: '0', refquota: '0', readonly: 'off' },
};
const NOT_INHERITED = ['canmount', 'quota', 'refquota'];

/** The value of a property, and where it is from. */
export function property(pool: PoolState, name: string, wanted: string): [value: string, source: string] {
  const [dataset = '', isSnapshot] = name.split('@');
  if (isSnapshot !== undefined) {
    const own = pool.snapshots[name]?.properties[wanted];
    if (own !== undefined) return [own, 'local'];
    if (!wanted.includes(':')) return ['-', '-'];
  }
  return setProperty(pool, { dataset, wanted, from: name });
}

function setProperty(
  pool: PoolState,
  { dataset, wanted, from }: { readonly dataset: string; readonly wanted: string; readonly from: string },
): [value: string, source: string] {
  const own = pool.datasets[dataset]?.properties[wanted];
  if (own !== undefined) return [own, dataset === from ? 'local' : `inherited from ${dataset}`];
  const parent = parentOf(dataset);
  if (parent === '' || NOT_INHERITED.includes(wanted)) {
    return wanted.includes(':') ? ['-', '-'] : [DEFAULTS[wanted] ?? '-', DEFAULTS[wanted] ? 'default' : '-'];
  }
  const [value, source] = setProperty(pool, { dataset: parent, wanted, from });
  const below =
    wanted === 'mountpoint' && value.startsWith('/') ? value + dataset.slice(parent.length) : value;
  return [below, source];
}

function compare(a: readonly string[], b: readonly string[]): number {
  const at = a.findIndex((part, i) => part !== b[i]);
  if (at < 0) return a.length - b.length;
  return at >= b.length || `${a[at]}` > `${b[at]}` ? 1 : -1;
}
