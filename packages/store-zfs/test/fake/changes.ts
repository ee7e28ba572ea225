import { type Answer, done, missing, misused, refused } from './answer.ts';
import {
  clonesOf,
  type Dataset,
  isBelow,
  type PoolState,
  parentOf,
  property,
  snapshotsOf,
  tree,
} from './pool.ts';

type Properties = Readonly<Record<string, string>>;

export function create(
  pool: PoolState,
  request: { readonly name: string; readonly properties: Properties; readonly parents: boolean },
): Answer {
  const { name, properties, parents } = request;
  if (pool.datasets[name]) return parents ? done : refused(`cannot create '${name}': dataset already exists`);
  const ready = makeParents(pool, { name, parents });
  if (ready.code !== 0) return ready;
  add(pool, { name, properties });
  return done;
}

export function clone(
  pool: PoolState,
  request: {
    readonly from: string;
    readonly name: string;
    readonly properties: Properties;
    readonly parents: boolean;
  },
): Answer {
  const { from, name, properties, parents } = request;
  if (!pool.snapshots[from]) return missing(from);
  if (pool.datasets[name]) return parents ? done : refused(`cannot create '${name}': dataset already exists`);
  const ready = makeParents(pool, { name, parents });
  if (ready.code !== 0) return ready;
  add(pool, { name, properties, origin: from });
  return done;
}

export function snapshot(
  pool: PoolState,
  request: { readonly name: string; readonly properties: Properties; readonly recursive: boolean },
): Answer {
  const { name, properties, recursive } = request;
  const [dataset = '', snap] = name.split('@');
  if (!pool.datasets[dataset]) return misused(`cannot open '${dataset}': dataset does not exist`);
  const names = (recursive ? tree(pool, dataset) : [dataset]).map((one) => `${one}@${snap}`);
  const taken = names.filter((one) => pool.snapshots[one]);
  if (taken.length > 0) {
    const lines = taken.map((one) => `cannot create snapshot '${one}': dataset already exists`);
    return refused(...lines, 'no snapshots were created');
  }
  for (const one of names) {
    pool.snapshots[one] = { guid: pool.next++, properties: { ...properties }, isDeferred: false };
    datasetOf(pool, one).written = 0;
  }
  return done;
}

export function mount(pool: PoolState, name: string): Answer {
  const dataset = pool.datasets[name];
  if (!dataset) return missing(name);
  const [mountpoint] = property(pool, name, 'mountpoint');
  if (mountpoint === 'none') return refused(`cannot mount '${name}': no mountpoint set`);
  if (property(pool, name, 'canmount')[0] === 'off') {
    return refused(`cannot mount '${name}': 'canmount' property is set to 'off'`);
  }
  if (dataset.isMounted) return refused(`cannot mount '${name}': filesystem already mounted`);
  dataset.isMounted = true;
  return done;
}

export function unmount(pool: PoolState, name: string): Answer {
  const dataset = pool.datasets[name];
  if (!dataset) return missing(name);
  if (!dataset.isMounted) return refused(`cannot unmount '${name}': not currently mounted`);
  dataset.isMounted = false;
  return done;
}

export function set(pool: PoolState, name: string, properties: Properties): Answer {
  const dataset = pool.datasets[name];
  if (!dataset) return missing(name);
  Object.assign(dataset.properties, properties);
  if (properties.mountpoint === 'none') dataset.isMounted = false;
  return done;
}

export function rename(
  pool: PoolState,
  { from, to, parents }: { readonly from: string; readonly to: string; readonly parents: boolean },
): Answer {
  if (!pool.datasets[from]) return missing(from);
  if (pool.datasets[to]) return refused(`cannot rename '${from}': dataset already exists`);
  const ready = makeParents(pool, { name: to, parents });
  if (ready.code !== 0) return ready;
  for (const name of tree(pool, from)) {
    for (const snap of snapshotsOf(pool, name)) moveSnapshot(pool, snap, to + snap.slice(from.length));
    pool.datasets[to + name.slice(from.length)] = datasetOf(pool, name);
    delete pool.datasets[name];
  }
  return done;
}

/** The snapshots up to the origin change over to the clone, and the dataset they were of becomes its clone. */
export function promote(pool: PoolState, name: string): Answer {
  const clone = pool.datasets[name];
  if (!clone) return missing(name);
  if (clone.origin === undefined) return refused(`cannot promote '${name}': not a cloned filesystem`);
  const [parent = ''] = clone.origin.split('@');
  const origin = clone.origin;
  const all = snapshotsOf(pool, parent);
  const grandparent = datasetOf(pool, parent).origin;
  const moved = all.slice(0, all.indexOf(origin) + 1);
  const twice = moved.find((snap) => pool.snapshots[name + snap.slice(parent.length)]);
  if (twice !== undefined) {
    const [, snap] = twice.split('@');
    return refused(`cannot promote '${name}': conflicting snapshot '${snap}' from parent '${origin}'`);
  }
  for (const snap of moved) moveSnapshot(pool, snap, name + snap.slice(parent.length));
  datasetOf(pool, parent).origin = name + origin.slice(parent.length);
  if (grandparent === undefined) delete clone.origin;
  else clone.origin = grandparent;
  return done;
}

/** To the newest snapshot, which is the only one that the fake rolls back to. */
export function rollback(pool: PoolState, name: string): Answer {
  const [dataset = ''] = name.split('@');
  if (!pool.snapshots[name]) return missing(name);
  if (snapshotsOf(pool, dataset).at(-1) !== name)
    return misused('the fake rolls back to the newest snapshot only');
  datasetOf(pool, name).written = 0;
  return done;
}

/** With all below it, unless something else was cloned from it. */
export function destroy(pool: PoolState, dataset: string): Answer {
  if (!pool.datasets[dataset]) return missing(dataset);
  const names = tree(pool, dataset);
  const snaps = names.flatMap((name) => snapshotsOf(pool, name));
  const clones = snaps.flatMap((snap) => clonesOf(pool, snap)).filter((name) => !isBelow(name, dataset));
  if (clones.length > 0) {
    const head = `cannot destroy '${dataset}': filesystem has dependent clones`;
    return refused(head, "use '-R' to destroy the following datasets:", ...clones);
  }
  const origins = names.map((name) => datasetOf(pool, name).origin);
  for (const snap of snaps) delete pool.snapshots[snap];
  for (const name of names) delete pool.datasets[name];
  dropDeferred(pool, origins);
  return done;
}

/** At once, or when the last clone of it goes. */
export function destroySnapshot(pool: PoolState, name: string): Answer {
  const snap = pool.snapshots[name];
  if (!snap) return refused('could not find any snapshots to destroy; check snapshot names.');
  if (clonesOf(pool, name).length === 0) delete pool.snapshots[name];
  else snap.isDeferred = true;
  return done;
}

function makeParents(
  pool: PoolState,
  { name, parents }: { readonly name: string; readonly parents: boolean },
): Answer {
  const parent = parentOf(name);
  if (pool.datasets[parent]) return done;
  if (!parents || parent === '') return refused(`cannot create '${name}': parent does not exist`);
  const above = makeParents(pool, { name: parent, parents });
  if (above.code === 0) add(pool, { name: parent, properties: {} });
  return above;
}

function add(
  pool: PoolState,
  {
    name,
    properties,
    origin,
  }: { readonly name: string; readonly properties: Properties; readonly origin?: string },
): void {
  const made: Dataset = { guid: pool.next++, properties: { ...properties }, isMounted: false, written: 0 };
  if (origin !== undefined) made.origin = origin;
  pool.datasets[name] = made;
  const [canmount] = property(pool, name, 'canmount');
  const [mountpoint] = property(pool, name, 'mountpoint');
  made.isMounted = canmount === 'on' && mountpoint.startsWith('/');
}

function moveSnapshot(pool: PoolState, from: string, to: string): void {
  const snap = pool.snapshots[from];
  if (!snap) throw new Error(`there is no snapshot ${from}`);
  pool.snapshots[to] = snap;
  delete pool.snapshots[from];
  for (const name of clonesOf(pool, from)) datasetOf(pool, name).origin = to;
}

function dropDeferred(pool: PoolState, origins: readonly (string | undefined)[]): void {
  for (const origin of origins) {
    if (origin === undefined || !pool.snapshots[origin]?.isDeferred) continue;
    if (clonesOf(pool, origin).length === 0) delete pool.snapshots[origin];
  }
}

function datasetOf(pool: PoolState, name: string): Dataset {
  const dataset = pool.datasets[name.split('@')[0] ?? ''];
  if (!dataset) throw new Error(`there is no dataset ${name}`);
  return dataset;
}
