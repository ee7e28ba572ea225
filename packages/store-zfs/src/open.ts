import { createHash } from 'node:crypto';
import { access, chmod, mkdir, readdir, realpath, rmdir } from 'node:fs/promises';
import { join } from 'node:path';
import {
  attempt,
  err,
  escapeName,
  failed,
  type HostPath,
  type OwnerLock,
  ok,
  openStoreDirectory,
  type Result,
  type StoreError,
  toHostPath,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { Commands } from './commands.ts';
import { isDatasetName } from './dataset-name.ts';
import { checkVersion } from './inspect.ts';
import { type Inventory, takeInventory } from './inventory.ts';
import { checkLength, Layout } from './layout.ts';
import { Mounts } from './mounts.ts';
import type { Place } from './place.ts';
import { version } from './pool.ts';
import { missingProperties, obstacle } from './root-properties.ts';
import { waitForRunning } from './running-commands.ts';
import { settle } from './settle.ts';
import { Trash } from './trash.ts';
import { type Properties, type Property, Zfs } from './zfs.ts';
import { PAIRED, ZfsStore } from './zfs-store.ts';

const debug = createDebug('snapstep:store-zfs');

export interface ZfsStoreOptions {
  /** An existing dataset of the store's own, such as `tank/snapstep`. */
  readonly dataset: string;
  /**
   * A directory of the store's own on the host, for its lock and its mount points. The dataset remembers it, so that
   * nobody opens it a second time with another. Default: what the dataset remembers, or else a directory below
   * `/var/lib/snapstep/zfs` (on macOS and FreeBSD `/var/db/snapstep/zfs`).
   */
  readonly directory?: HostPath;
  /**
   * Datasets and their snapshots. A step has two of them, and two for each volume. One that would make them more is
   * refused with `no-space`, for which a builder removes what was not used for long. Default: 40,000.
   */
  readonly maxObjects?: number;
  /** What is mounted at the same time. Once so much is, `mount` fails with `busy`. Default: 500. */
  readonly maxMounts?: number;
  /**
   * A command that takes longer counts as stuck: it is reported so, and nothing more is launched until it ends.
   * Unmounting has at most 30 seconds. Default: 300,000 (five minutes).
   */
  readonly stuckAfterMs?: number;
}

const UNMOUNT_MS = 30_000;

/**
 * Opens a store that keeps each snapshot as datasets of OpenZFS (2.1 or later, on Linux, macOS or FreeBSD), cloned from
 * those of its parent. Needs root.
 *
 * @returns `busy` if another process has it open; `failed` with what to do if ZFS, the dataset or the permission is
 * missing.
 */
export async function openZfsStore(options: ZfsStoreOptions): Promise<Result<ZfsStore, StoreError>> {
  const { dataset, stuckAfterMs = 300_000 } = options;
  if (!isDatasetName(dataset)) return err(failed(`"${dataset}" is not the name of a dataset`));
  const named = checkLength(dataset);
  if (named.isErr()) return err(named.error);
  const tools = (await version()).andThen(checkVersion);
  if (tools.isErr()) return err(await explainMissingModule(tools.error));
  const commands = new Commands({ stuckAfterMs });
  const zfs = new Zfs(commands, { stuckAfterMs: Math.min(stuckAfterMs, UNMOUNT_MS) });
  const properties = await zfs.properties(dataset);
  if (properties.isErr()) return err(explainMissing(dataset, properties.error));
  const unusable = obstacle(dataset, properties.value);
  if (unusable !== undefined) return err(unusable);
  const directory = chooseDirectory(options, properties.value);
  if (directory.isErr()) return err(directory.error);
  const lock = await openStoreDirectory({ path: directory.value, kind: 'zfs', create: true });
  if (lock.isErr()) return err(lock.error);
  const store = await start({
    ...options,
    ...{ commands, zfs, directory: directory.value, lock: lock.value, properties: properties.value },
  });
  if (store.isErr()) await lock.value[Symbol.asyncDispose]();
  return store;
}

interface Start extends ZfsStoreOptions {
  readonly commands: Commands;
  readonly zfs: Zfs;
  readonly directory: HostPath;
  readonly lock: OwnerLock;
  readonly properties: ReadonlyMap<string, Property>;
}

async function start(parts: Start): Promise<Result<ZfsStore, StoreError>> {
  const { dataset, directory, commands, zfs, properties, maxObjects = 40_000, maxMounts = 500 } = parts;
  const quiet = await waitForRunning(dataset, { timeoutMs: 60_000 });
  if (quiet.isErr()) return err(quiet.error);
  // The system tells mounts by the paths that are behind links, such as `/private/var` of a Mac.
  const real = await attempt(realpath(directory));
  if (real.isErr()) return err(real.error);
  const layout = new Layout(dataset, toHostPath(real.value));
  const missing = missingProperties(properties, { 'snapstep:directory': directory });
  const set = Object.keys(missing).length === 0 ? ok() : await zfs.set(missing, dataset);
  if (set.isErr()) return err(set.error);
  const mounts = new Mounts({ layout, zfs, maxMounts });
  const place = { commands, layout, zfs, mounts, trash: new Trash(layout, zfs) };
  const inventory = await prepareDatasets(place);
  if (inventory.isErr()) return err(inventory.error);
  const settled = await settle(place, inventory.value);
  if (settled.isErr()) return err(settled.error);
  const directories = await clearDirectories(layout);
  if (directories.isErr()) return err(directories.error);
  const paired = properties.get(PAIRED);
  const pairedWith = paired?.source === 'local' ? paired.value : undefined;
  return ok(new ZfsStore({ ...parts, place, inventory: inventory.value, pairedWith, maxObjects, maxMounts }));
}

async function prepareDatasets({ layout, zfs }: Place): Promise<Result<Inventory, StoreError>> {
  const rows = await zfs.list(layout.dataset);
  if (rows.isErr()) return err(rows.error);
  const inventory = takeInventory(layout, rows.value);
  const properties: Properties = { canmount: 'off', mountpoint: 'none' };
  const missing = layout.containers.filter((name) => !inventory.names.has(name));
  // Beside each other they wait for one transaction group.
  const made = await Promise.all(missing.map((dataset) => zfs.create(dataset, { properties })));
  return made.find((one) => one.isErr())?.map(() => inventory) ?? ok(inventory);
}

/** Mount points of earlier openings are empty directories, unless somebody holds them. */
async function clearDirectories({ directory, mounts }: Layout): Promise<Result<void, StoreError>> {
  const made = await attempt(mkdir(mounts, { recursive: true }));
  if (made.isErr()) return err(made.error);
  // Volumes hold setuid programs, which no user of the host may reach.
  const closed = await attempt(chmod(directory, 0o700));
  if (closed.isErr()) return closed;
  for (const name of await readdir(mounts)) {
    const removed = await attempt(rmdir(join(mounts, name)));
    if (removed.isErr()) debug('%s stays: %o', name, removed.error);
  }
  return ok();
}

function chooseDirectory(
  { dataset, directory }: ZfsStoreOptions,
  properties: ReadonlyMap<string, Property>,
): Result<HostPath, StoreError> {
  const { value, source } = properties.get('snapstep:directory') ?? { value: '', source: '-' };
  if (source !== 'local') return ok(directory ?? defaultDirectory(dataset));
  const hint = `If nobody uses it there any more: zfs inherit snapstep:directory ${dataset}`;
  if (!value.startsWith('/'))
    return err(failed(`${dataset} has its lock in "${value}", which is no path. ${hint}`));
  if (directory === undefined || directory === value) return ok(toHostPath(value));
  return err(failed(`${dataset} has its lock and its mounts in ${value}, not in ${directory}. ${hint}`));
}

/** Exported for tests. */
export function defaultDirectory(dataset: string): HostPath {
  const state = process.platform === 'linux' ? '/var/lib' : '/var/db';
  return toHostPath(join(state, 'snapstep/zfs', fileNameFor(dataset)));
}

/** A file's name has less room than a dataset's, once what is not a small letter is escaped. */
function fileNameFor(dataset: string): string {
  try {
    return escapeName(dataset);
  } catch (error) {
    if (!(error instanceof RangeError)) throw error;
    return `h-${createHash('sha256').update(dataset).digest('hex')}`;
  }
}

function explainMissing(dataset: string, error: StoreError): StoreError {
  if (error.type !== 'failed' || !/does not exist|no such pool/.test(error.message)) return error;
  return failed(`there is no dataset "${dataset}": make it, such as by "zfs create -p ${dataset}"`, error);
}

async function explainMissingModule(error: StoreError): Promise<StoreError> {
  if (error.type !== 'failed' || process.platform !== 'linux' || /not installed|older/.test(error.message)) {
    return error;
  }
  const device = await attempt(access('/dev/zfs'));
  if (device.isOk()) return error;
  return failed(`/dev/zfs is missing: the kernel module is not loaded ("modprobe zfs" may do)`, error);
}
