import { mkdir, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { failed, type StoreError } from './failures.ts';
import type { HostPath } from './names.ts';
import { lockDirectory, type OwnerLock } from './owner-lock.ts';
import { attempt, attemptExisting } from './store-failure.ts';
import { writeDurably } from './sync-disk.ts';

export interface StoreDirectoryOptions {
  readonly path: HostPath;
  /** Written into a new directory, and required of one that exists. */
  readonly kind: string;
  /** Whether a directory that is missing or empty becomes a store. */
  readonly create: boolean;
}

const IDENTITY = 'snapstep-store.json';
const FORMAT = 1;
/** What may lie in a directory that counts as empty: a new file system's own, and what a crash here leaves. */
const IGNORED = new Set(['lost+found', 'owner.lock', 'owner.lock-journal', 'owner.pid', `${IDENTITY}.new`]);

/**
 * Takes a directory into possession: it holds an identity file, and nobody else has it open.
 *
 * A store deletes what it does not know, so a directory with other people's files is refused. Without
 * `create` an empty one is refused as well: it may be the mount point of a disk that is not there.
 */
export async function openStoreDirectory(
  options: StoreDirectoryOptions,
): Promise<Result<OwnerLock, StoreError>> {
  if (options.create) {
    const made = await attempt(mkdir(options.path, { recursive: true, mode: 0o700 }));
    if (made.isErr()) return err(made.error);
  }
  const before = await checkIdentity(options);
  if (before.isErr()) return err(before.error);
  const lock = await lockDirectory(options.path);
  if (lock.isErr()) return lock;
  const written = before.value === 'new' ? await writeIdentity(options) : ok();
  if (written.isOk()) return lock;
  await lock.value[Symbol.asyncDispose]();
  return err(written.error);
}

async function checkIdentity(options: StoreDirectoryOptions): Promise<Result<'new' | 'known', StoreError>> {
  const text = await attemptExisting(readFile(join(options.path, IDENTITY), 'utf8'));
  if (text.isErr()) return err(text.error);
  if (text.value !== undefined) return matchIdentity(text.value, options);
  if (!options.create) {
    return err(failed(`${options.path} is not a store: is its disk mounted? (It may not be created.)`));
  }
  const entries = await attempt(readdir(options.path));
  if (entries.isErr()) return err(entries.error);
  const foreign = entries.value.find((name) => !IGNORED.has(name));
  if (foreign === undefined) return ok('new');
  return err(failed(`${options.path} is neither a store nor empty: it holds "${foreign}"`));
}

function matchIdentity(text: string, options: StoreDirectoryOptions): Result<'known', StoreError> {
  const expected = identity(options);
  if (text === expected) return ok('known');
  return err(failed(`${join(options.path, IDENTITY)} says ${text.trim()}, not ${expected.trim()}`));
}

function writeIdentity({ path, ...options }: StoreDirectoryOptions): Promise<Result<void, StoreError>> {
  return writeDurably(join(path, IDENTITY), identity(options));
}

function identity(options: Pick<StoreDirectoryOptions, 'kind'>): string {
  return `${JSON.stringify({ kind: options.kind, format: FORMAT })}\n`;
}
