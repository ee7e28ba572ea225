import { Readable } from 'node:stream';
import {
  type ActiveSnapshot,
  type Builder,
  type BuildRequest,
  type CacheVolumes,
  type Fetcher,
  type HostPath,
  type Outcome,
  ok,
  openBuilder,
  type Sandbox,
  type StepKey,
  type Store,
  type StoreFeatures,
  toCacheId,
  toStepKey,
} from '@snapstep/core';
import type { Parts } from '../damage/child/world.ts';

/** What calls are made with. */
export interface Subject {
  readonly builder: Builder;
  readonly parts: Parts;
  /** A step that is saved, with others built on it. */
  readonly saved: StepKey;
  readonly failed: StepKey;
  /** Builds that are saved whole, saved in part, and new. */
  readonly requests: Readonly<Record<'saved' | 'partly' | 'new', BuildRequest>>;
  readonly image: string;
  /** Of calls that can be stopped. */
  readonly signal: AbortSignal;
  /** A directory that is nobody's, on a disk that is well. */
  readonly scratch: HostPath;
}

export type Call = (subject: Subject) => Outcome<unknown, object>;

/** Every member of `T` that answers, by its name: one that is left out is an error of the compiler. */
type CallsOf<T> = { readonly [K in keyof T as T[K] extends Answering ? K : never]-?: Call };
// biome-ignore lint/suspicious/noExplicitAny: any arguments.
type Answering = ((...args: any[]) => Outcome<unknown, object>) | undefined;

const UNKNOWN = toStepKey('e'.repeat(64));
const CACHE = toCacheId('c');

const BUILDER: CallsOf<Builder> = {
  list: ({ builder }) => builder.list(),
  usage: ({ builder }) => builder.usage(),
  keys: ({ builder, saved }) => builder.keys(saved.slice(0, 4)),
  log: ({ builder, saved }) => readAll(builder, saved),
  explain: ({ builder, saved }) => builder.explain(saved),
  open: ({ builder, saved }) => disposed(builder.open(saved)),
  plan: ({ builder, requests, signal }) => builder.plan({ ...requests.partly, signal }),
  build: ({ builder, requests, signal }) => disposed(builder.build({ ...requests.partly, signal })),
  healthcheck: ({ builder, image, signal }) => builder.healthcheck(image, signal),
  remove: ({ builder, saved, signal }) => builder.remove(saved, signal),
  prune: ({ builder, signal }) => builder.prune({}, signal),
};

const BUILDER_CACHES: CallsOf<Builder['caches']> = {
  list: ({ builder }) => builder.caches.list(),
  remove: ({ builder }) => builder.caches.remove(CACHE),
};

/** The same calls with what a host may well give, and a builder has to refuse or to do. */
const ODD: Readonly<Record<string, Call>> = {
  'build of what is saved': ({ builder, requests, signal }) =>
    disposed(builder.build({ ...requests.saved, signal })),
  'build of what is new': ({ builder, requests, signal }) =>
    disposed(builder.build({ ...requests.new, signal })),
  'build without its context': ({ builder, requests }) => {
    const { context: _, ...rest } = requests.new;
    return disposed(builder.build(rest));
  },
  'build of no spec': ({ builder }) => disposed(builder.build({ spec: 'rubbish' as never })),
  'build with a listener that throws': ({ builder, requests }) =>
    disposed(
      builder.build({
        ...requests.new,
        onEvent: () => {
          throw new Error('my bug');
        },
      }),
    ),
  'build that is stopped soon': ({ builder, requests }) =>
    disposed(builder.build({ ...requests.new, signal: AbortSignal.timeout(20) })),
  'plan with a listener that throws': ({ builder, requests }) =>
    builder.plan({
      ...requests.new,
      onEvent: () => {
        throw new Error('my bug');
      },
    }),
  'plan that is stopped': ({ builder, requests }) =>
    builder.plan({ ...requests.new, signal: AbortSignal.abort(new Error('no')) }),
  'prune that is stopped soon': ({ builder }) => builder.prune({}, AbortSignal.timeout(2)),
  'remove of what is not saved': ({ builder }) => builder.remove(UNKNOWN),
  'open of what is not saved': ({ builder }) => disposed(builder.open(UNKNOWN)),
  'log of a step that failed': ({ builder, failed }) => readAll(builder, failed),
  'explain of what is not known': ({ builder }) => builder.explain(UNKNOWN),
  'open a second builder on the same state': ({ parts }) => disposed(openBuilder(parts)),
};

const STORE: CallsOf<Store> = {
  lookup: ({ parts, saved }) => parts.store.lookup(saved),
  list: ({ parts }) => parts.store.list(),
  usage: ({ parts }) => parts.store.usage(),
  prepare: ({ parts, saved, signal }) =>
    disposed(parts.store.prepare({ key: UNKNOWN, from: { snapshot: saved }, signal })),
  sync: ({ parts }) => parts.store.sync(),
  remove: ({ parts, signal }) => parts.store.remove(UNKNOWN, signal),
  reclaimed: ({ parts, signal }) => parts.store.reclaimed(signal),
};

const STORE_CACHES: CallsOf<CacheVolumes> = {
  list: ({ parts }) => parts.store.caches.list(),
  checkOut: ({ parts }) => disposed(parts.store.caches.checkOut(CACHE, { uid: 0, gid: 0 })),
  remove: ({ parts }) => parts.store.caches.remove(toCacheId('d')),
};

const PAIRING: CallsOf<Store['pairing']> = {
  get: ({ parts }) => parts.store.pairing.get(),
  set: ({ parts }) => parts.store.pairing.set('a'.repeat(32)),
};

const TRANSFER: CallsOf<StoreFeatures['transfer']> = {
  send: ({ parts, saved, signal }) => sent(parts.store, { key: saved, signal }),
  receive: ({ parts, signal }) =>
    parts.store.transfer?.receive(UNKNOWN, streamOf('rubbish'), { signal }) ?? nothing(),
};

const PLACEMENT: CallsOf<StoreFeatures['placement']> = {
  mountAt: ({ parts, saved, scratch }) => mountedAt(parts.store, { key: saved, target: scratch }),
};

const QUOTA: CallsOf<StoreFeatures['quota']> = {
  limit: ({ parts, saved }) =>
    withActive(parts.store, saved, (active, { quota }) => quota?.limit(active, 1_000_000) ?? nothing()),
  isUsedUp: ({ parts, saved }) =>
    withActive(parts.store, saved, (active, { quota }) => quota?.isUsedUp(active) ?? nothing()),
};

const SANDBOX: CallsOf<Pick<Sandbox, 'account' | 'run'>> = {
  account: ({ parts, saved }) =>
    withActive(parts.store, saved, ({ volumes }) => parts.sandbox.account({ name: 'root' }, volumes)),
  run: ({ parts, saved, signal }) =>
    withActive(parts.store, saved, ({ volumes }) =>
      parts.sandbox.run(
        {
          ...{ argv: ['/bin/sh', '-c', 'echo hello'], cwd: '/', env: {}, user: { uid: 0, gid: 0 } },
          ...{ network: 'none', limits: {}, volumes, mounts: [], secrets: [], signal },
          output: { write: async () => {} },
        },
        parts.store as never,
      ),
    ),
};

const FETCHER: CallsOf<Fetcher> = {
  pin: ({ parts, image, signal }) => parts.fetcher.pin({ name: image, platform: 'linux/amd64' }, signal),
  unpack: (subject) => unpacked(subject),
};

/** Every call, by the name that it has in a table. What removes comes last. */
export const CALLS: ReadonlyMap<string, Call> = new Map(
  [
    named('builder', ODD),
    named('store', STORE),
    named('store.caches', STORE_CACHES),
    named('store.transfer', TRANSFER),
    named('store.placement', PLACEMENT),
    named('store.quota', QUOTA),
    named('sandbox', SANDBOX),
    named('fetcher', FETCHER),
    named('builder', BUILDER),
    named('builder.caches', BUILDER_CACHES),
    // From here on the store belongs to nobody.
    named('store.pairing', PAIRING),
  ].flat(),
);

function named(of: string, calls: Readonly<Record<string, Call>>): (readonly [string, Call])[] {
  return Object.entries(calls).map(([name, call]) => [`${of}: ${name}`, call]);
}

/** A feature that the store does not have. */
async function nothing() {
  return ok(undefined);
}

async function disposed<T extends AsyncDisposable, E>(
  outcome: Outcome<T, E>,
): Promise<Awaited<Outcome<T, E>>> {
  const result = await outcome;
  if (result.isOk()) await result.value[Symbol.asyncDispose]();
  return result;
}

/** A log whose reading fails throws, as its contract says; that it ends is what is asked. */
async function readAll(builder: Builder, key: StepKey) {
  const log = await builder.log(key);
  try {
    for await (const _ of log.unwrapOr(undefined)?.follow() ?? []) {
    }
  } catch (error) {
    if (!(error instanceof Error) || error.message === '') throw error;
  }
  return log;
}

async function withActive(
  store: Store & Partial<StoreFeatures>,
  key: StepKey,
  work: (active: ActiveSnapshot, features: Partial<StoreFeatures>) => Outcome<unknown, object>,
): Promise<Awaited<Outcome<unknown, object>>> {
  const { signal } = new AbortController();
  const active = await store.prepare({ key: UNKNOWN, from: { snapshot: key }, signal });
  if (active.isErr()) return active;
  await using snapshot = active.value;
  return await work(snapshot, store);
}

async function unpacked({ parts, image, signal }: Subject): Promise<Awaited<Outcome<unknown, object>>> {
  const pinned = await parts.fetcher.pin({ name: image, platform: 'linux/amd64' }, signal);
  if (pinned.isErr()) return pinned;
  const from = { empty: parts.sandbox.layout };
  const active = await parts.store.prepare({ key: UNKNOWN, from, signal });
  if (active.isErr()) return active;
  await using snapshot = active.value;
  const log = { write: async () => {} };
  return await parts.fetcher.unpack(pinned.value, snapshot.volumes, { log, signal });
}

async function mountedAt(
  store: Store,
  { key, target }: { readonly key: StepKey; readonly target: HostPath },
): Promise<Awaited<Outcome<unknown, object>>> {
  const found = await store.lookup(key);
  if (found.isErr()) return found;
  const volume = [...(found.value?.volumes.values() ?? [])][0];
  if (volume === undefined) return nothing();
  const { placement } = store as Store & Partial<StoreFeatures>;
  if (placement) return disposed(placement.mountAt(volume, target));
  return disposed(volume.mount());
}

async function sent(
  store: Store,
  { key, signal }: { readonly key: StepKey; readonly signal: AbortSignal },
): Promise<Awaited<Outcome<unknown, object>>> {
  const { transfer } = store as Store & Partial<StoreFeatures>;
  const stream = await (transfer?.send(key, { signal }) ?? nothing());
  if (stream.isOk()) await stream.value?.cancel();
  return stream;
}

function streamOf(text: string): ReadableStream<Uint8Array> {
  return Readable.toWeb(Readable.from([Buffer.from(text)])) as ReadableStream<Uint8Array>;
}
