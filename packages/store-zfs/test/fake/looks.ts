import { type Answer, missing, misused, printed, refused } from './answer.ts';
import { type PoolState, property, snapshotsOf, tree } from './pool.ts';

const KNOWN = ['name', 'guid', 'origin', 'mounted', 'mountpoint', 'written', 'canmount', 'used', 'available'];
const SETTABLE = ['atime', 'snapdir', 'acltype', 'xattr', 'quota', 'refquota', 'readonly'];

/** `list -Hp`. */
export function list(
  pool: PoolState,
  request: {
    readonly name: string;
    readonly columns: readonly string[];
    readonly types: readonly string[];
    readonly recursive: boolean;
  },
): Answer {
  const { name, columns, types, recursive } = request;
  const unknown = columns.find((column) => !isKnown(column));
  if (unknown !== undefined) return misused(`bad property list: invalid property '${unknown}'`);
  if (!pool.datasets[name] && !pool.snapshots[name]) return missing(name);
  const datasets = recursive ? tree(pool, name) : [name];
  const all = datasets.flatMap((one) => [one, ...(recursive ? snapshotsOf(pool, one) : [])]);
  const wanted = all.filter(
    (one) => types.includes(one.includes('@') ? 'snapshot' : 'filesystem') || (one === name && !recursive),
  );
  return printed(wanted.map((one) => columns.map((column) => shown(pool, one, column)[0]).join('\t')));
}

/** `get -Hp`. */
export function get(
  pool: PoolState,
  request: {
    readonly name: string;
    readonly fields: readonly string[];
    readonly properties: readonly string[];
  },
): Answer {
  const { name, fields, properties } = request;
  if (!pool.datasets[name] && !pool.snapshots[name]) return missing(name);
  const unknown = properties.find((one) => one !== 'all' && !isKnown(one));
  if (unknown !== undefined) return misused(`bad property list: invalid property '${unknown}'`);
  const wanted = properties.includes('all') ? everyProperty(pool, name) : properties;
  const row = (one: string): string => {
    const [value, source] = shown(pool, name, one);
    const cells: Readonly<Record<string, string>> = { name, property: one, value, source };
    return fields.map((field) => cells[field]).join('\t');
  };
  return printed(wanted.map(row));
}

export function pools(pool: PoolState, name: string, columns: readonly string[]): Answer {
  if (!pool.datasets[name] || name.includes('/')) return refused(`cannot open '${name}': no such pool`);
  const values: Readonly<Record<string, string>> = {
    ...{
      health: 'ONLINE',
      size: '2013265920',
      allocated: '152064',
      free: '2013113856',
      freeing: '0',
      capacity: '0',
    },
  };
  const unknown = columns.find((column) => values[column] === undefined);
  if (unknown !== undefined) return misused(`bad property list: invalid property '${unknown}'`);
  return printed([columns.map((column) => values[column]).join('\t')]);
}

function isKnown(name: string): boolean {
  return name.includes(':') || KNOWN.includes(name) || SETTABLE.includes(name);
}

function everyProperty(pool: PoolState, name: string): readonly string[] {
  const users = Object.keys(pool.datasets).filter((one) => name === one || name.startsWith(`${one}/`));
  const set = users.flatMap((one) => Object.keys(pool.datasets[one]?.properties ?? {}));
  return [...new Set([...KNOWN.filter((one) => one !== 'name'), ...SETTABLE, ...set])];
}

function shown(pool: PoolState, name: string, wanted: string): [value: string, source: string] {
  const dataset = pool.datasets[name];
  const own: Readonly<Record<string, string>> = {
    name,
    guid: `${dataset?.guid ?? pool.snapshots[name]?.guid}`,
    origin: dataset?.origin ?? '-',
    mounted: dataset ? (dataset.isMounted ? 'yes' : 'no') : '-',
    written: `${dataset?.written ?? 0}`,
    used: '24576',
    available: '1836188160',
  };
  const value = own[wanted];
  return value === undefined ? property(pool, name, wanted) : [value, '-'];
}
