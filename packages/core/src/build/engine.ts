import type { Clock } from '../backend/clock.ts';
import type { Fetcher } from '../backend/fetcher.ts';
import type { HashCache } from '../backend/hash-cache.ts';
import type { HostPath } from '../backend/names.ts';
import type { ResourceLimits, Sandbox } from '../backend/sandbox.ts';
import type { Store, StoreFeature, StoreFeatures } from '../backend/store.ts';
import type { CacheBroker } from '../cache/cache-broker.ts';
import type { Durability } from '../cache/durability.ts';
import type { IndexDb } from '../cache/index-db.ts';
import type { Leases } from '../cache/leases.ts';
import type { Slots } from '../cache/slots.ts';
import type { StepTable } from '../cache/step-table.ts';
import type { StepLogs } from '../log/step-logs.ts';
import type { SpecLimits } from '../spec/index.ts';
import type { BuildError, HostNetwork } from './builder.ts';
import type { DiskWatch } from './disk-watch.ts';
import type { FailedLogs } from './failed-logs.ts';
import type { StepRecords } from './step-records.ts';

/** What all builds of one builder share. */
export interface Engine {
  readonly store: Store;
  /** Its needs were checked against the store when the builder was opened. */
  readonly sandbox: Sandbox<StoreFeature>;
  readonly features: Pick<StoreFeatures, StoreFeature>;
  readonly fetcher: Fetcher;
  readonly platform: string;
  readonly stateDir: HostPath;
  readonly clock: Clock;

  readonly index: IndexDb;
  readonly records: StepRecords;
  readonly logs: StepLogs;
  /** How many bytes of a step's log are kept where a build does not say. */
  readonly logBytes: number;
  readonly specLimits: SpecLimits;
  /** Of each step, where its build does not say. */
  readonly limits: ResourceLimits;
  readonly hostNetwork: HostNetwork;
  readonly failedLogs: FailedLogs;
  readonly hashes: HashCache;
  readonly durability: Durability;
  readonly leases: Leases;
  readonly steps: StepTable<BuildError>;
  readonly caches: CacheBroker;
  /** Steps that may run at once. */
  readonly slots: Slots;
  /** Places for base images that are fetched: a registry that is slow keeps no step waiting. */
  readonly pulls: Slots;
  /** Commands that the sandbox may run at once. */
  readonly commands: Slots;
  readonly room: Room;
  readonly disks: DiskWatch;
}

/**
 * What had no room. `store`: it said so, or a sandbox or fetcher did. `perhaps`: it was nearly full for a time, and nobody
 * said that anything failed. `doubtful`: it may have been. `state`: the builder's own directory.
 */
export type Full = 'store' | 'perhaps' | 'doubtful' | 'state';

/** Space for those who found a disk full. */
export interface Room {
  /**
   * Prunes until a tenth of the store is free, and at least one step if the store said that it is full; after a first
   * round that was not enough, until three tenths are. One at a time: who waited while another made room uses that.
   *
   * @returns Whether it is worth while to try again.
   * @throws The signal's reason, if it is aborted before it is this caller's turn.
   */
  make(full: Full, asked: { readonly tries: number; readonly signal: AbortSignal }): Promise<boolean>;
}
