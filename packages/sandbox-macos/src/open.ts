import { chmod, lstat, mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Busy,
  err,
  failed,
  type HostPath,
  lockDirectory,
  ok,
  type Result,
  type Sandbox,
  type SandboxError,
} from '@snapstep/core/backend';
import { checkPlaces } from './check-places.ts';
import { endUnwatched, removeMounts, removeResidue } from './clean-up.ts';
import { findProgram } from './find-program.ts';
import { ensureUser } from './local-user.ts';
import { MacosSandbox } from './macos-sandbox.ts';
import { homeOf, type MacosUser, PoolUser, Shared, whyNotUsers } from './macos-user.ts';
import { removeTree } from './remove-tree.ts';
import { type Premises, SHARED_PLACES } from './residue.ts';
import { RunRecords } from './run-records.ts';
import type { Workshop } from './run-step.ts';
import { probe, profileOf } from './sandbox-exec.ts';
import { ownDirectories } from './su.ts';

export interface MacosSandboxOptions {
  /**
   * Whom steps run as, one step at a time each. A user that does not exist is made. What a step runs as is decided by
   * whom the home volume belongs to, since paths of the home directory are part of what is installed in it.
   */
  readonly users: readonly MacosUser[];
  /**
   * Where Homebrew is: `/opt/homebrew`, or `/usr/local` on Intel. With it images have a volume `brew`, and of the steps
   * with that volume one runs at a time, whatever their users. Without it images have a volume `home` alone.
   */
  readonly homebrewPrefix?: HostPath;
  /**
   * For what running steps need. One process at a time owns it. It is made if it does not exist. Every user must be
   * able to pass through the directories above it.
   */
  readonly stateDir: HostPath;
  /**
   * What becomes of a step without a network where `sandbox-exec` does not work: it is refused (the default), or it has
   * the network of the Mac.
   */
  readonly networkNone?: 'refused' | 'unrestricted';
  /** A profile of sandbox-exec(1) for every step, such as `(version 1)(allow default)(deny file-write* (subpath "/Applications"))`. */
  readonly sandboxProfile?: string;
  /** Where else users may leave files, which are removed after each step. Beside the shared places of every Mac. */
  readonly sharedPlaces?: readonly HostPath[];
}

/**
 * Opens a sandbox that runs every command as a local user of the Mac, with the volumes mounted in place.
 *
 * It is not a jail: beside home and Homebrew a command sees the Mac as any local user does, and `host` is its network
 * unless `sandbox-exec` takes it away. Everything that runs as the user is ended with the command, and what he left in
 * shared places is removed.
 *
 * Needs root. What a dead owner of `stateDir` has left running is ended first; open it before the store, which unmounts
 * its volumes when it is opened.
 *
 * What an exit means here: a command that a signal ended exits with 128 and its number, as in a shell. `signalled` is
 * answered where the whole session was killed from outside.
 */
export async function openMacosSandbox(
  options: MacosSandboxOptions,
): Promise<Result<Sandbox<'placement'>, SandboxError | Busy>> {
  const wrong =
    process.getuid?.() === 0
      ? whyNotUsers(options.users)
      : 'running steps as other users needs root: run as root';
  if (wrong !== undefined) return err(failed(wrong));
  const isNew = (await mkdir(options.stateDir, { recursive: true, mode: 0o755 })) !== undefined;
  // Not left to the umask. A directory that somebody else has made stays as it is.
  if (isNew) await chmod(options.stateDir, 0o711);
  const stateDir = (await realpath(options.stateDir)) as HostPath;
  const lock = await lockDirectory(stateDir);
  if (lock.isErr()) return err(lock.error);
  const release = async () => lock.value[Symbol.asyncDispose]();
  const workshop = await setUp(stateDir, options).catch(async (error: unknown) => {
    await release();
    throw error;
  });
  if (workshop.isOk()) return ok(new MacosSandbox(workshop.value, release));
  await release();
  return err(workshop.error);
}

async function setUp(
  stateDir: HostPath,
  options: MacosSandboxOptions,
): Promise<Result<Workshop, SandboxError>> {
  const { homebrewPrefix: prefix, networkNone = 'refused', sandboxProfile } = options;
  const sound = await checkPlaces(stateDir, options);
  if (sound.isErr()) return err(sound.error);
  const sharedPlaces = [...SHARED_PLACES, ...(options.sharedPlaces ?? [])];
  const premises = { sharedPlaces, kept: new Set([stateDir as string]) };
  const runs = await makeDirectory(stateDir, { name: 'runs', mode: 0o700 });
  const records = new RunRecords(runs);
  const cleared = await clear(records, premises);
  if (cleared.isErr()) return err(cleared.error);
  await removeTree(join(stateDir, 'steps'), (await lstat(stateDir)).dev);
  const stepsDir = await makeDirectory(stateDir, { name: 'steps', mode: 0o711 });
  const users = await openUsers(options.users);
  if (users.isErr()) return err(users.error);
  const sandboxExec = await workingSandboxExec(sandboxProfile);
  if (sandboxProfile !== undefined && sandboxExec === undefined) {
    return err(failed('sandbox-exec does not work here with the given sandboxProfile'));
  }
  return ok({
    ...{ users: users.value, records, stepsDir, premises, sandboxExec, sandboxProfile },
    prefix: prefix === undefined ? undefined : Object.assign(new Shared(), { path: prefix }),
    isUnrestricted: networkNone === 'unrestricted',
    defaultPath: defaultPath(prefix),
  });
}

async function makeDirectory(
  parent: string,
  { name, mode }: { readonly name: string; readonly mode: number },
): Promise<string> {
  const path = join(parent, name);
  await mkdir(path, { recursive: true });
  await chmod(path, mode);
  return path;
}

/** Ends what a dead owner has left running, also as users that are not in the pool any more. */
async function clear(records: RunRecords, premises: Premises): Promise<Result<void, SandboxError>> {
  for (const record of records.left()) {
    const stuck = await endUnwatched(record);
    if (stuck !== undefined) {
      return err({ type: 'stuck', message: `left by an earlier process: ${stuck}`, needsReboot: true });
    }
    await removeMounts(record);
    const kept = new Set([...premises.kept, ...record.kept]);
    await removeResidue(record, { ...premises, kept });
    records.end(record);
  }
  return ok();
}

async function openUsers(users: readonly MacosUser[]): Promise<Result<readonly PoolUser[], SandboxError>> {
  const pool: PoolUser[] = [];
  for (const user of users) {
    const ensured = await ensureUser(user);
    if (ensured.isErr()) return err(ensured.error);
    // A login session begins in it.
    const made = await mkdir(homeOf(user.name), { recursive: true });
    if (made !== undefined) await chmod(homeOf(user.name), 0o755);
    const directories = await ownDirectories(user.name);
    if (directories.isErr()) return err(directories.error);
    pool.push(new PoolUser(user, directories.value));
  }
  return ok(pool);
}

async function workingSandboxExec(base: string | undefined): Promise<string | undefined> {
  const program = await findProgram('sandbox-exec');
  const profile = profileOf({ network: 'none', base });
  if (program === undefined || profile === undefined) return undefined;
  return (await probe(program.path, profile)).isOk() ? program.path : undefined;
}

function defaultPath(prefix: string | undefined): string {
  const own = prefix === undefined ? [] : [`${prefix}/bin`, `${prefix}/sbin`];
  return [...new Set([...own, '/usr/local/bin', '/usr/bin', '/bin', '/usr/sbin', '/sbin'])].join(':');
}
