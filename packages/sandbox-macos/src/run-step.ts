import { chown, lstat, readdir } from 'node:fs/promises';
import {
  cancelled,
  type Exit,
  err,
  failed,
  type HostPath,
  type Owner,
  ok,
  type Result,
  type RunRequest,
  type SandboxError,
  type StoreFeatures,
  systemCallFailure,
  toVolumeName,
  type VolumeName,
} from '@snapstep/core/backend';
import { endUser, removeMounts, removeResidue } from './clean-up.ts';
import { suArguments } from './login-command.ts';
import type { PoolUser, Shared } from './macos-user.ts';
import { PlacedVolumes } from './placed-volumes.ts';
import { collisionOf, PrivatePlace } from './private-place.ts';
import type { Premises } from './residue.ts';
import type { RunRecords } from './run-records.ts';
import { profileOf } from './sandbox-exec.ts';
import { runSession, type SessionEnd } from './session.ts';
import { resolveStepPath } from './step-path.ts';
import { makeDirectories } from './stubs.ts';

export const HOME: VolumeName = toVolumeName('home');
export const BREW: VolumeName = toVolumeName('brew');

/** What the steps of one open sandbox share. */
export interface Workshop {
  readonly users: readonly PoolUser[];
  readonly prefix: (Shared & { readonly path: HostPath }) | undefined;
  readonly records: RunRecords;
  /** Where steps have their private places. Every user can pass through it. */
  readonly stepsDir: string;
  readonly premises: Premises & { readonly kept: Set<string> };
  /** Where `sandbox-exec` is, if it works; what else it keeps from steps. */
  readonly sandboxExec: string | undefined;
  readonly sandboxProfile: string | undefined;
  /** Whether a step without a network may have one where nothing can keep it from it. */
  readonly isUnrestricted: boolean;
  readonly defaultPath: string;
}

/** Runs one command to its end as a user whose turn it is, and takes everything away again that was needed for it. */
export async function runStep(
  workshop: Workshop,
  request: RunRequest,
  { user, placement }: { readonly user: PoolUser; readonly placement: StoreFeatures['placement'] },
): Promise<Result<Exit, SandboxError>> {
  const attempt = new Attempt(workshop, user, new PlacedVolumes(placement, user));
  const running = attempt.run(request);
  // How it ended is looked at below, once all is taken away.
  await running.catch(() => {});
  const stuck = await attempt.tearDown();
  if (stuck !== undefined) return err({ type: 'stuck', message: stuck, needsReboot: true });
  return attempt.shortage ? err(attempt.shortage) : running;
}

/** One command, from the record that it is begun to its removal. */
class Attempt {
  readonly #workshop: Workshop;
  readonly #user: PoolUser;
  readonly #placed: PlacedVolumes;
  #private: PrivatePlace | undefined;
  #isLaunched = false;
  #stuck: string | undefined;
  #logFailed = false;

  constructor(workshop: Workshop, user: PoolUser, placed: PlacedVolumes) {
    this.#workshop = workshop;
    this.#user = user;
    this.#placed = placed;
  }

  /** Why the volumes are not as the command left them, once they are torn down. */
  get shortage(): SandboxError | undefined {
    const { shortage } = this.#placed;
    return shortage && systemCallFailure(shortage, `cannot clean up after a step: ${shortage.message}`);
  }

  async run(request: RunRequest): Promise<Result<Exit, SandboxError>> {
    try {
      return await this.#run(request);
    } catch (error) {
      // A full disk, or a read-only one, is nobody's bug. What the log throws is the log's own.
      if (this.#logFailed || !(error instanceof Error && 'syscall' in error)) throw error;
      return err(systemCallFailure(error, `cannot run a step as ${this.#user.name}: ${error.message}`));
    }
  }

  async #run(request: RunRequest): Promise<Result<Exit, SandboxError>> {
    const wrapper = this.#wrapper(request.network);
    if (wrapper.isErr()) return err(wrapper.error);
    const collision = collisionOf(request.secrets);
    if (collision) {
      return err(failed(`the secrets at "${collision[0]}" and "${collision[1]}" cannot both be files`));
    }
    const { records, premises } = this.#workshop;
    const { name, uid, gid, ownDirs } = this.#user;
    records.begin({ name, uid, gid, ownDirs, kept: [...premises.kept] });
    const placed = await this.#place(request);
    if (placed.isErr()) return err(placed.error);
    const { secrets } = request;
    this.#private = await PrivatePlace.make(this.#workshop.stepsDir, { owner: this.#user, secrets });
    const cwd = await this.#workingDirectory(request.cwd);
    if (cwd.isErr()) return err(cwd.error);
    if (request.signal.aborted) return err(cancelled(request.signal));
    const { PATH: path, ...env } = this.#environment(request, this.#private);
    const command = { user: this.#user.name, argv: request.argv, cwd: cwd.value, wrapper: wrapper.value };
    const report = this.#private.report;
    // Nobody has asked for this PATH, so the profile of the home directory may add to it.
    const paths = path === this.#workshop.defaultPath ? { path, env } : { env: { ...env, ...pathOf(path) } };
    const args = suArguments({ ...command, ...paths, report });
    await this.#placed.open();
    this.#isLaunched = true;
    const end = await runSession({ ...request, args, endUser: () => endUser(this.#user) });
    this.#stuck = end.stuck;
    return this.#judge(end, request);
  }

  /** @returns What could not be taken away. Then nothing is run as this user any more. */
  async tearDown(): Promise<string | undefined> {
    const user = this.#user;
    await this.#private?.[Symbol.asyncDispose]();
    if (this.#isLaunched) await removeMounts(user);
    const left = await this.#placed.remove();
    // What is removed by its path is not looked for while the volumes could be reached through a link.
    if (this.#isLaunched) await removeResidue(user, this.#workshop.premises);
    const mounts = left.length === 0 ? undefined : `${left.join(' and ')} cannot be unmounted`;
    const reasons = [this.#stuck, mounts].filter((reason) => reason !== undefined);
    if (reasons.length === 0) {
      this.#workshop.records.end(user);
      return undefined;
    }
    user.stuck = reasons.join('; ');
    const { prefix } = this.#workshop;
    if (prefix && left.includes(prefix.path)) prefix.stuck = user.stuck;
    return user.stuck;
  }

  async #place({ volumes, mounts }: RunRequest): Promise<Result<void, SandboxError>> {
    const user = this.#user;
    const home = volumes.get(HOME);
    if (home === undefined) return err(failed(`a step on a Mac needs a volume "${HOME}"`));
    const atHome = await this.#placed.placeRoot(home, user.home);
    if (atHome.isErr()) return err(atHome.error);
    const owned = await giveHome(user.home, user);
    if (owned.isErr()) return err(owned.error);
    const brew = volumes.get(BREW);
    if (brew && !this.#workshop.prefix) {
      return err(
        failed(`the step has a volume "${BREW}", and the sandbox was opened without homebrewPrefix`),
      );
    }
    if (brew && this.#workshop.prefix) {
      const { path } = this.#workshop.prefix;
      const atPrefix = await this.#placed.placeRoot(brew, path);
      if (atPrefix.isErr()) return err(atPrefix.error);
      // Homebrew wants its prefix to be its user's. One with something in it is as its image has it.
      if ((await lstat(path)).uid === 0 && (await isFresh(path))) await chown(path, user.uid, user.gid);
    }
    return this.#placed.placeCaches(mounts);
  }

  async #workingDirectory(path: string): Promise<Result<string, SandboxError>> {
    // There the directories that this process has open have names.
    if (/^\/+(dev|proc)(\/|$)/.test(path)) return err(failed(`"${path}" cannot be a working directory`));
    const found = await resolveStepPath(path, { roots: this.#placed.paths, use: 'directory' });
    if (found.isErr()) return err(found.error);
    await makeDirectories(found.value, this.#user);
    return ok(found.value.path);
  }

  #wrapper(network: RunRequest['network']): Result<readonly string[], SandboxError> {
    const { sandboxExec, sandboxProfile, isUnrestricted } = this.#workshop;
    const profile = profileOf({ network, base: sandboxProfile });
    if (profile === undefined) return ok([]);
    if (sandboxExec !== undefined) return ok([sandboxExec, '-p', profile]);
    if (isUnrestricted) return ok([]);
    return err(
      failed(
        'sandbox-exec does not work here, so nothing can keep a step from the network: ' +
          "give the step (network host), or open the sandbox with networkNone: 'unrestricted'",
      ),
    );
  }

  #environment({ env }: RunRequest, { secretsDir }: PrivatePlace): Readonly<Record<string, string>> {
    const secrets = secretsDir === undefined ? {} : { SNAPSTEP_SECRETS_DIR: secretsDir };
    return { TMPDIR: this.#user.tmpDir, ...secrets, ...env };
  }

  async #judge(end: SessionEnd, { signal }: RunRequest): Promise<Result<Exit, SandboxError>> {
    const { stopped } = end;
    if (stopped?.why === 'output') {
      this.#logFailed = true;
      throw stopped.error;
    }
    if (stopped?.why === 'cancelled') return err(cancelled(signal));
    if (stopped?.why === 'limit') return ok({ type: 'limit-exceeded', limit: stopped.limit });
    if (end.startError) return err(failed(`cannot start su: ${end.startError.message}`, end.startError));
    const code = (await this.#private?.exitCode()) ?? end.code;
    const isKilled = code === null || (code === 0 && (await this.#private?.exitCode()) === undefined);
    if (isKilled && (await this.#private?.isDiskFull())) {
      const message = `${this.#workshop.stepsDir} has no room for how the command of ${this.#user.name} exited`;
      return err({ type: 'no-space', message });
    }
    return ok(isKilled ? { type: 'signalled', signal: 'SIGKILL' } : { type: 'exited', code });
  }
}

/**
 * Makes sure that the home directory is the user's. One that nobody had yet belongs to root and is empty.
 *
 * @param path - Where its volume is mounted.
 */
export async function giveHome(
  path: string,
  { name, uid, gid }: PoolUser,
): Promise<Result<void, SandboxError>> {
  const stats = await lstat(path);
  if (stats.uid === uid) return ok();
  if (stats.uid !== 0) {
    return err(failed(`the home directory was made for the user ${stats.uid}, and ${name} is ${uid}`));
  }
  if (!(await isFresh(path))) return err(failed('the home directory belongs to root, but is not empty'));
  return giveTo({ uid, gid }, path);
}

async function giveTo({ uid, gid }: Owner, path: string): Promise<Result<void, SandboxError>> {
  try {
    return ok(await chown(path, uid, gid));
  } catch (error) {
    return err(systemCallFailure(error as Error));
  }
}

/** What macOS itself puts at the top of a file system: Spotlight, the log of changes, the bin. */
const SYSTEMS = ['.fseventsd', '.Spotlight-V100', '.Trashes'];

async function isFresh(path: string): Promise<boolean> {
  return (await readdir(path)).every((name) => SYSTEMS.includes(name));
}

function pathOf(path: string | undefined): { readonly PATH?: string } {
  return path === undefined ? {} : { PATH: path };
}
