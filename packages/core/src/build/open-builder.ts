import { mkdirSync } from 'node:fs';
import { availableParallelism, totalmem } from 'node:os';
import { join } from 'node:path';
import { err, ok, type Result, ResultAsync } from 'neverthrow';
import { type Clock, systemClock } from '../backend/clock.ts';
import { failed, type StoreError } from '../backend/failures.ts';
import type { Fetcher } from '../backend/fetcher.ts';
import { hostPlatform } from '../backend/host-platform.ts';
import { type HostPath, toHostPath } from '../backend/names.ts';
import { lockDirectory, type OwnerLock } from '../backend/owner-lock.ts';
import type { ResourceLimits, Sandbox } from '../backend/sandbox.ts';
import type { Store, StoreFeature, StoreFeatures, StoreWith } from '../backend/store.ts';
import { CacheBroker } from '../cache/cache-broker.ts';
import { Durability } from '../cache/durability.ts';
import { Leases } from '../cache/leases.ts';
import { Slots } from '../cache/slots.ts';
import { StepTable } from '../cache/step-table.ts';
import { StepLogs } from '../log/step-logs.ts';
import { type SpecLimits, specLimits } from '../spec/spec-limits.ts';
import type { Builder, HostNetwork } from './builder.ts';
import { checkLogBytes } from './check-request.ts';
import { DiskWatch } from './disk-watch.ts';
import type { Engine } from './engine.ts';
import { FailedLogs, type KeptLogs } from './failed-logs.ts';
import { roomOf } from './make-room.ts';
import { openState, type State } from './open-state.ts';
import { SnapstepBuilder } from './snapstep-builder.ts';
import { type SpareRoom, spareRules } from './spare-room.ts';
import { builderLimits } from './step-limits.ts';

/** Stores that a builder of this process has. */
const inUse = new WeakSet<Store>();
const MEMORY_PER_STEP = 512 * 1024 * 1024;
/** So many base images are fetched at once at least: a registry that is slow costs little else. */
const LEAST_PULLS = 4;
const LOG_BYTES = 32 * 1024 * 1024;

export interface BuilderOptions<F extends StoreFeature> {
  /** Stays the caller's: dispose it after the builder. */
  readonly store: StoreWith<F>;
  /** Stays the caller's, like the fetcher. Open it before the store: it ends what a dead process left running. */
  readonly sandbox: Sandbox<F>;
  readonly fetcher: Fetcher;
  /** Where the index, the logs and the records are kept. Made if it does not exist. */
  readonly stateDir: HostPath;
  /** Steps that may run at once, beside base images that are fetched. Default: twice the processors, and no more than half a gigabyte of memory for each. */
  readonly concurrency?: number;
  /** What must be left on a disk that commands write to. Default: 32 MiB and 1000 inodes, or 5 % where that is less. */
  readonly spareRoom?: SpareRoom;
  /**
   * How many bytes of what a step prints are kept, unless its build says something else: the beginning and the end, half
   * of it each. Default: 32 MiB. `Infinity` keeps all.
   */
  readonly logBytes?: number;
  /** How much a spec may ask for. Those that are absent have their defaults. */
  readonly specLimits?: Partial<SpecLimits>;
  /**
   * What each step may use where its build does not say; `Infinity` is no limit. Default: 4096 `pids`, and as `memoryBytes`
   * three quarters of this machine's memory, as far as the sandbox enforces them. Opening fails with one that it does not
   * enforce.
   */
  readonly limits?: ResourceLimits;
  /**
   * Whether a spec may have `(network host)`: with it a step reaches what trusts this host. `refuse` refuses such a spec
   * whole, also where its steps are saved. Base images that {@link Builder.baseImages} makes have it nevertheless. Default:
   * `allow`.
   */
  readonly hostNetwork?: HostNetwork;
  /** Which logs of steps that failed outlive their builds. They go at the next prune, and when they become too many. */
  readonly keepFailedLogs?: KeptLogs;
  /** In the words of OCI, such as `linux/arm64`. Default: this machine's. */
  readonly platform?: string;
  /**
   * Whether `stateDir` and `store` become a pair though each belongs to another one. Snapshots that this state does not
   * know are deleted then, and steps that the store does not have are forgotten. Default: false, opening fails.
   */
  readonly adopt?: boolean;
  /** What tells the time of each use, and how long a step took. Default: this machine's clocks. */
  readonly clock?: Clock;
}

/**
 * Puts a store, a sandbox and a fetcher together. Whatever a crash left behind is put in order first.
 *
 * @returns `busy`, with the owner's pid, if another builder uses `stateDir` or `store`; `failed` if they do not belong
 * together, see {@link BuilderOptions.adopt}.
 */
export function openBuilder<F extends StoreFeature = never>(
  options: BuilderOptions<F>,
): ResultAsync<Builder, StoreError> {
  return new ResultAsync(open(options));
}

async function open<F extends StoreFeature>(
  options: BuilderOptions<F>,
): Promise<Result<Builder, StoreError>> {
  const { store, stateDir } = options;
  const lacking = options.sandbox.requires.filter((feature) => store[feature] === undefined);
  if (lacking.length > 0) {
    return err(
      failed(`the ${options.sandbox.name} sandbox needs a store with ${lacking}; ${store.name} has none`),
    );
  }
  if (options.concurrency !== undefined && !(options.concurrency >= 1)) {
    throw new RangeError(`concurrency is ${options.concurrency}, but must be at least 1`);
  }
  if (options.logBytes !== undefined) checkLogBytes(options.logBytes);
  specLimits(options.specLimits);
  const limits = builderLimits(options.sandbox, options.limits);
  if (limits.isErr()) return err(limits.error);
  const ownership = await own(options);
  if (ownership.isErr()) return err(ownership.error);
  const opened: Disposable[] = [];
  try {
    const engine = await openEngine({ ...options, limits: limits.value }, (part) => opened.push(part));
    if (engine.isOk()) return ok(new SnapstepBuilder(engine.value, ownership.value));
    await release(opened, ownership.value);
    return err(engine.error);
  } catch (error) {
    await release(opened, ownership.value);
    const isSqlite = error instanceof Error && 'code' in error && error.code === 'ERR_SQLITE_ERROR';
    if (isSqlite) return err(failed(`cannot open the state in ${stateDir}: ${error.message}`, error));
    throw error;
  }
}

/** The state directory, by a lock; and the store, which is open in this process alone. */
async function own({
  store,
  stateDir,
}: Pick<BuilderOptions<never>, 'store' | 'stateDir'>): Promise<Result<OwnerLock, StoreError>> {
  const lock = await takeStateDir(stateDir);
  if (lock.isErr()) return err(lock.error);
  if (inUse.has(store)) {
    await lock.value[Symbol.asyncDispose]();
    return err({ type: 'busy', message: `the ${store.name} store is used by another builder` });
  }
  inUse.add(store);
  return ok({
    directory: lock.value.directory,
    async [Symbol.asyncDispose]() {
      inUse.delete(store);
      await lock.value[Symbol.asyncDispose]();
    },
  });
}

async function release(opened: readonly Disposable[], lock: OwnerLock): Promise<void> {
  for (const part of opened) part[Symbol.dispose]();
  await lock[Symbol.asyncDispose]();
}

async function openEngine<F extends StoreFeature>(
  options: BuilderOptions<F>,
  hold: (part: Disposable) => void,
): Promise<Result<Engine, StoreError>> {
  const { adopt = false, clock = systemClock } = options;
  const state = await openState({ ...options, adopt, clock }, hold);
  return state.map((parts) => makeEngine(options, parts));
}

async function takeStateDir(stateDir: HostPath): Promise<Result<OwnerLock, StoreError>> {
  try {
    mkdirSync(stateDir, { recursive: true, mode: 0o700 });
  } catch (error) {
    return err(failed(`cannot make the state directory ${stateDir}: ${(error as Error).message}`, error));
  }
  return lockDirectory(stateDir);
}

function makeEngine<F extends StoreFeature>(
  options: BuilderOptions<F>,
  { index, records, hashes }: State,
): Engine {
  const { store, sandbox, fetcher, stateDir } = options;
  const failedLogs = new FailedLogs(options.keepFailedLogs);
  const logs = new StepLogs(toHostPath(join(stateDir, 'logs')), {
    onEnded: (key, bytes) => {
      if (!index.has(key)) failedLogs.added(bytes);
    },
  });
  const { clock = systemClock, concurrency = defaultConcurrency() } = options;
  const leases = new Leases();
  const durability = new Durability({ index, store, stateDir, clock });
  const engine: Engine = {
    store,
    // `open` has seen to it that the store has what this sandbox requires.
    sandbox: sandbox as Sandbox<StoreFeature>,
    features: store as Store as Store & StoreFeatures,
    fetcher,
    platform: options.platform ?? hostPlatform(),
    stateDir,
    clock,
    index,
    records,
    logs,
    logBytes: options.logBytes ?? LOG_BYTES,
    specLimits: specLimits(options.specLimits),
    limits: options.limits ?? {},
    hostNetwork: options.hostNetwork ?? 'allow',
    failedLogs,
    leases,
    hashes,
    durability,
    steps: new StepTable({ leases, beginLog: (key, limits) => logs.begin(key, limits) }),
    caches: new CacheBroker(store.caches, durability.caches),
    slots: new Slots(concurrency),
    pulls: new Slots(Math.max(LEAST_PULLS, concurrency)),
    commands: new Slots(sandbox.concurrency),
    room: roomOf(() => engine),
    disks: new DiskWatch(spareRules(options.spareRoom)),
  };
  return engine;
}

function defaultConcurrency(): number {
  return Math.max(1, Math.min(2 * availableParallelism(), Math.floor(totalmem() / MEMORY_PER_STEP)));
}
