import { err, failed, ok, type Result, type StoreError } from '@snapstep/core/backend';
import type { CommandLimits, Commands } from './commands.ts';

/** What is set on a dataset, such as `{ canmount: 'noauto' }`. */
export type Properties = Readonly<Record<string, string>>;

/** The columns of {@link Zfs.list}, in this order. `-` stands for what a dataset does not have. */
const COLUMNS = [
  'name',
  'guid',
  'origin',
  'mounted',
  'mountpoint',
  'written',
  'snapstep:volumes',
  'snapstep:id',
] as const;
export type DatasetRow = Readonly<Record<(typeof COLUMNS)[number], string>>;

export interface Property {
  readonly value: string;
  /** `local`, `default`, `received`, `-`, or from where it is inherited. */
  readonly source: string;
}

/** One method for each subcommand of zfs(8) and zpool(8) that the store uses, in the syntax of OpenZFS 2.1. */
export class Zfs {
  readonly #commands: Commands;
  readonly #unmounting: CommandLimits;

  /** @param unmounting - What unmounts has a bound of its own, since that is what hangs on some systems. */
  constructor(commands: Commands, unmounting: CommandLimits) {
    this.#commands = commands;
    this.#unmounting = unmounting;
  }

  /** What a dataset and all below it are, parents first. */
  async list(dataset: string): Promise<Result<DatasetRow[], StoreError>> {
    const flags = ['-Hp', '-r', '-t', 'filesystem,snapshot', '-o', COLUMNS.join(',')];
    return (await this.#zfs('list', ...flags, dataset)).andThen(parseRows);
  }

  async properties(dataset: string): Promise<Result<ReadonlyMap<string, Property>, StoreError>> {
    const printed = await this.#zfs('get', '-Hp', '-o', 'property,value,source', 'all', dataset);
    return printed.map((text) => new Map(linesOf(text).map(parseProperty)));
  }

  async get(property: string, dataset: string): Promise<Result<string, StoreError>> {
    const printed = await this.#zfs('get', '-Hp', '-o', 'value', property, dataset);
    return printed.map((text) => text.trimEnd());
  }

  /** Bytes used by a dataset with all below it, and those that it may still take, by quotas as well. */
  async space(dataset: string): Promise<Result<{ used: number; available: number }, StoreError>> {
    const printed = await this.#zfs('get', '-Hp', '-o', 'value', 'used,available', dataset);
    return printed.andThen((text) => {
      const [used = Number.NaN, available = Number.NaN] = linesOf(text).map(Number);
      if (Number.isSafeInteger(used) && Number.isSafeInteger(available)) return ok({ used, available });
      return err(failed(`"zfs get used,available ${dataset}" printed ${JSON.stringify(text)}`));
    });
  }

  /** Bytes that the pool is still busy freeing. */
  async freeing(dataset: string): Promise<Result<number, StoreError>> {
    const [pool = dataset] = dataset.split('/');
    const printed = await this.#commands.run(['zpool', 'get', '-Hp', '-o', 'value', 'freeing', pool]);
    // A pool without the feature `async_destroy` frees at once, and prints `-`.
    return printed.map((text) => Number.parseInt(text, 10) || 0);
  }

  create(dataset: string, { properties, parents = false }: CreateOptions): Promise<Result<void, StoreError>> {
    return this.#done('create', ...(parents ? ['-p'] : []), ...flagsOf(properties), dataset);
  }

  /** Makes the parent as well, with what it inherits. What exists already is a success here: check before. */
  clone(snapshot: string, dataset: string, properties: Properties): Promise<Result<void, StoreError>> {
    return this.#done('clone', '-p', ...flagsOf(properties), snapshot, dataset);
  }

  /** All of it in one transaction, with all below if it is `recursive`. */
  snapshot(
    snapshot: string,
    { properties = {}, recursive = false }: SnapshotOptions = {},
  ): Promise<Result<void, StoreError>> {
    return this.#done('snapshot', ...(recursive ? ['-r'] : []), ...flagsOf(properties), snapshot);
  }

  /** Whether a stream of what changed since another snapshot can be made. */
  async canSend(snapshot: string, since: string): Promise<Result<boolean, StoreError>> {
    const tried = await this.#zfs('send', '-nP', '-i', since, snapshot);
    if (tried.isOk()) return ok(true);
    return tried.error.type === 'failed' ? ok(false) : err(tried.error);
  }

  mount(dataset: string, options: { readonly readOnly: boolean }): Promise<Result<void, StoreError>> {
    return this.#done('mount', ...(options.readOnly ? ['-o', 'ro'] : []), dataset);
  }

  /** `force` takes it away from its users on macOS and FreeBSD, and does nothing on Linux. */
  async unmount(
    dataset: string,
    { force = false }: { readonly force?: boolean } = {},
  ): Promise<Result<void, StoreError>> {
    const command = ['unmount', ...(force ? ['-f'] : []), dataset];
    return (await this.#commands.run(['zfs', ...command], this.#unmounting)).map(() => undefined);
  }

  /** Setting `mountpoint` unmounts what is mounted, and mounts it again unless it is `none`. */
  async set(properties: Properties, dataset: string): Promise<Result<void, StoreError>> {
    const limits = 'mountpoint' in properties ? this.#unmounting : {};
    const set = await this.#commands.run(['zfs', 'set', ...assignments(properties), dataset], limits);
    return set.map(() => undefined);
  }

  /** Also while it is mounted, where it stays. The new parent must exist. */
  rename(from: string, to: string): Promise<Result<void, StoreError>> {
    return this.#done('rename', '-u', from, to);
  }

  /** Of what is not mounted; makes the new parent as well. */
  publish(from: string, to: string): Promise<Result<void, StoreError>> {
    return this.#done('rename', '-p', from, to);
  }

  promote(dataset: string): Promise<Result<void, StoreError>> {
    return this.#done('promote', dataset);
  }

  rollback(snapshot: string): Promise<Result<void, StoreError>> {
    return this.#done('rollback', snapshot);
  }

  /** With all below it, never with what was cloned from it. Unmounts it first. */
  destroy(dataset: string): Promise<Result<void, StoreError>> {
    return this.#done('destroy', '-r', dataset);
  }

  /** At once, or when the last clone of it goes. */
  destroySnapshot(snapshot: string): Promise<Result<void, StoreError>> {
    return this.#done('destroy', '-d', snapshot);
  }

  async #done(...args: string[]): Promise<Result<void, StoreError>> {
    return (await this.#zfs(...args)).map(() => undefined);
  }

  #zfs(...args: string[]): Promise<Result<string, StoreError>> {
    return this.#commands.run(['zfs', ...args]);
  }
}

interface CreateOptions {
  readonly properties: Properties;
  /** Makes what is missing above it. What exists already is a success then: check before. */
  readonly parents?: boolean;
}

interface SnapshotOptions {
  readonly properties?: Properties;
  readonly recursive?: boolean;
}

/** Exported for tests: what `zfs list -Hp` printed. */
export function parseRows(printed: string): Result<DatasetRow[], StoreError> {
  const rows = linesOf(printed).map((line) => line.split('\t'));
  const odd = rows.find((row) => row.length !== COLUMNS.length);
  if (odd !== undefined) return err(failed(`"zfs list" printed what we do not understand: ${odd.join(' ')}`));
  return ok(rows.map((row) => Object.fromEntries(COLUMNS.map((name, i) => [name, row[i]])) as DatasetRow));
}

function parseProperty(line: string): [name: string, property: Property] {
  const [name = '', value = '', source = ''] = line.split('\t');
  return [name, { value, source }];
}

function linesOf(text: string): string[] {
  return text.split('\n').filter((line) => line !== '');
}

function assignments(properties: Properties): string[] {
  return Object.entries(properties).map(([name, value]) => `${name}=${value}`);
}

function flagsOf(properties: Properties): string[] {
  return assignments(properties).flatMap((assignment) => ['-o', assignment]);
}
