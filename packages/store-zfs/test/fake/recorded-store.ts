import { join } from 'node:path';
import {
  type ActiveSnapshot,
  type HostPath,
  type PrepareRequest,
  type Snapshot,
  type StepKey,
  type Store,
  toHostPath,
  toStepKey,
  toVolumeName,
  type Volume,
} from '@snapstep/core/backend';
import { expectOk } from '@snapstep/test-support';
import { openZfsStore, type ZfsStoreOptions } from '../../src/index.ts';
import { type FakeZfs, fakeZfs } from './fake-zfs.ts';

export const home = toVolumeName('home');
export const brew = toVolumeName('brew');
export const never: AbortSignal = new AbortController().signal;

export function key(number: number): StepKey {
  return toStepKey(`${number}`.padStart(64, '0'));
}

/** A store over the fake. Disposing it closes the store and takes the fake away. */
export interface RecordedStore extends AsyncDisposable {
  readonly store: Store;
  readonly fake: FakeZfs;
  readonly directory: HostPath;
  /** The commands since the last call, with short words for what differs from run to run. */
  commands(): readonly string[];
  reopen(): Promise<Store>;
}

export async function recordedStore(options: Partial<ZfsStoreOptions> = {}): Promise<RecordedStore> {
  const fake = await fakeZfs();
  const directory = toHostPath(join(fake.directory, 'store'));
  const dataset = `${fake.name}/store`;
  fake.pool.datasets[dataset] = { guid: 2, properties: {}, isMounted: false, written: 0 };
  const open = async () => expectOk(await openZfsStore({ dataset, directory, ...options }));
  let store: Store = await open();
  fake.calls();
  return {
    ...{ fake, directory },
    get store() {
      return store;
    },
    commands: () => fake.calls().map((call) => shortened(call, { directory, pool: fake.name })),
    async reopen() {
      await store[Symbol.asyncDispose]();
      store = await open();
      return store;
    },
    async [Symbol.asyncDispose]() {
      await store[Symbol.asyncDispose]();
      await fake[Symbol.asyncDispose]();
    },
  };
}

type Request = Omit<PrepareRequest, 'signal'>;

export async function prepared(store: Store, request: Request): Promise<ActiveSnapshot> {
  return expectOk(await store.prepare({ ...request, signal: never }));
}

export async function save(store: Store, request: Request): Promise<Snapshot> {
  await using active = await prepared(store, request);
  return expectOk(await active.commit());
}

/** Does some work while a volume is mounted. */
export async function mounted(
  volume: Volume | undefined,
  work: () => Promise<void> = async () => {},
): Promise<void> {
  if (volume === undefined) throw new Error('there is no such volume');
  await using _mount = expectOk(await volume.mount());
  await work();
}

/** `K1` for a key, `MNT` for a mount point, `NEW` for a name that is used once, `tank` for the pool. */
function shortened(
  call: string,
  { directory, pool }: { readonly directory: string; readonly pool: string },
): string {
  return call
    .replaceAll(/0{50,}(\d+)/g, (digits) => `K${Number(digits)}`)
    .replaceAll(new RegExp(`${directory}/mnt/[0-9a-z-]+`, 'g'), 'MNT')
    .replaceAll(/\/[0-9a-f]{8}-[0-9a-z]+/g, '/NEW')
    .replaceAll(directory, 'DIR')
    .replaceAll(pool, 'tank');
}
