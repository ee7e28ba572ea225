import { randomUUID } from 'node:crypto';
import { mkdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type ActiveSnapshot,
  type CacheCopy,
  err,
  orThrow,
  type PrepareRequest,
  type Result,
  runCommand,
  type StepKey,
  type Store,
  type StoreError,
  type Volume,
  type Volumes,
} from '@snapstep/core/backend';

/** Replaces members of an object, which keeps its identity. `make` gets the ones that were there. */
export function patch<T extends object>(target: T, make: (inner: T) => Partial<T>): T {
  const inner = new Proxy(target, {
    get(_, name) {
      const member: unknown = originals.get(name) ?? Reflect.get(target, name, target);
      return typeof member === 'function' ? member.bind(target) : member;
    },
  });
  const originals = new Map<string | symbol, unknown>();
  const members = make(inner);
  for (const name of Reflect.ownKeys(members)) {
    const original: unknown = Reflect.get(target, name, target);
    originals.set(name, original);
    Object.defineProperty(target, name, {
      value: Reflect.get(members, name),
      configurable: true,
      writable: true,
      enumerable: true,
    });
  }
  return target;
}

/** Does something with each snapshot that is prepared, before the builder gets it. */
export function onPrepare(
  store: Store,
  work: (active: ActiveSnapshot, request: PrepareRequest) => unknown,
): void {
  patch(store, (inner) => ({
    async prepare(request): Promise<Result<ActiveSnapshot, StoreError>> {
      const prepared = await inner.prepare(request);
      if (prepared.isOk()) await work(prepared.value, request);
      return prepared;
    },
  }));
}

/** Does something right before a snapshot is saved. */
export function onCommit(
  store: Store,
  work: (active: ActiveSnapshot, request: PrepareRequest) => Promise<unknown>,
): void {
  onPrepare(store, (active, request) =>
    patch(active, (inner) => ({
      async commit() {
        await work(active, request);
        return inner.commit();
      },
    })),
  );
}

/** Does something with each copy of a cache. */
export function onCheckOut(
  store: Store,
  work: (copy: CacheCopy, id: Parameters<Store['caches']['checkOut']>[0]) => unknown,
): void {
  patch(store.caches, (inner) => ({
    async checkOut(id, owner): Promise<Result<CacheCopy, StoreError>> {
      const copy = await inner.checkOut(id, owner);
      if (copy.isOk()) await work(copy.value, id);
      return copy;
    },
  }));
}

/** A copy of a parent that loses something: `spoil` is called with the path of each volume. */
export function spoilCopies(store: Store, spoil: (path: string) => Promise<unknown>): void {
  onPrepare(store, async ({ volumes }, { from }) => {
    if ('snapshot' in from) for (const volume of volumes.values()) await spoil(await pathOf(volume));
  });
}

/** As {@link spoilCopies}, with a shell script that runs in the volume. */
export function spoilWith(script: string): (store: Store) => void {
  return (store) => spoilCopies(store, (path) => shell(path, script));
}

async function shell(cwd: string, script: string, ...args: readonly string[]): Promise<string> {
  return orThrow(await runCommand('sh', ['-euc', script, 'sh', ...args], { cwd }));
}

/** Where a volume of a memory store lies: its mounts hold nothing. */
export async function pathOf(volume: Volume | undefined): Promise<string> {
  if (volume === undefined) throw new Error('there is no such volume');
  await using mount = orThrow(await volume.mount());
  return mount.path;
}

export async function firstPath(volumes: Volumes): Promise<string> {
  return pathOf([...volumes.values()][0]);
}

export async function pathOfSaved(store: Store, key: StepKey): Promise<string> {
  return firstPath(orThrow(await store.lookup(key))?.volumes ?? new Map());
}

/** Puts a copy made by `cp` with these options in the place of a directory. */
export async function replaceBy(target: string, from: string, options: readonly string[]): Promise<void> {
  orThrow(await runCommand('rm', ['-rf', target]));
  orThrow(await runCommand('cp', [...options, '-T', from, target]));
}

/** A directory of the mutant's own that does not exist yet. */
export async function asidePath(aside: string): Promise<string> {
  const path = join(aside, randomUUID());
  await mkdir(dirname(path), { recursive: true });
  return path;
}

export function fail<T>(message: string): Result<T, StoreError> {
  return err({ type: 'failed', message });
}
