import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, realpath, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type Busy,
  err,
  failed,
  type HostPath,
  lockDirectory,
  type OwnerLock,
  ok,
  type Result,
  type Sandbox,
  type SandboxError,
} from '@snapstep/core/backend';
import createDebug from 'debug';
import { type Allowance, unknownAllowance } from './allowance.ts';
import { grantableCapabilities } from './capabilities.ts';
import { type CgroupLayout, probeCgroups } from './cgroup-layout.ts';
import { makeParent, removeParent } from './cgroups.ts';
import { TEARDOWN_MS } from './container.ts';
import { maskedPaths } from './masked-paths.ts';
import { detach, mountTmpfs, sealDirectory } from './mount.ts';
import { readMountTable } from './mount-table.ts';
import type { ContainerDefaults } from './oci-config.ts';
import { OutputPipes } from './output-pipe.ts';
import { containerRlimits } from './resource-ceilings.ts';
import type { Workshop } from './run-step.ts';
import { RuncSandbox } from './runc-sandbox.ts';
import { canFakeSuccess, findRuntime } from './runtime.ts';
import { seccompProfile } from './seccomp.ts';

const debug = createDebug('snapstep:sandbox');

export interface RuncSandboxOptions {
  /** For what running containers need. One process at a time owns it. It is made if it does not exist. */
  readonly stateDir: HostPath;
  /** A runc or crun, by name or path. Default: crun where it is installed, else runc. */
  readonly runtime?: string;
  /**
   * Lets `sync`, `fsync` and their like succeed without waiting for a disk. Installing packages becomes several
   * times faster, and nothing is lost: a step that a crash interrupts is run again from its start.
   */
  readonly fastSync?: boolean;
  /** Keeps commands from gaining privileges, as `sudo` and `su` do. Default: false, since builds use them. */
  readonly noNewPrivileges?: boolean;
  /**
   * What steps may use beyond what every step has; see {@link Allowance} for what each of them opens. It is in no key: a
   * step that was saved stays. Default: nothing.
   */
  readonly allow?: readonly Allowance[];
}

/**
 * Opens a sandbox that runs every command in a container of its own.
 *
 * Needs root, and cgroups that it may write to. What a dead owner of `stateDir` has left running is killed first.
 *
 * What an exit means here:
 * - A runtime turns the end by a signal into the exit code 128 + n, so `signalled` is never answered.
 * - `limit-exceeded: memoryBytes` whenever the kernel killed any process because of the limit, even if the command
 *   then succeeded: what it left behind depends on the limit.
 * - `limit-exceeded: pids` when the kernel refused a new process because of the limit and the command failed; one
 *   that succeeds has coped with it. On cgroup v2 before Linux 6.11 it is told only by runc.
 * - A command that is not in the image exits with 127, one that cannot be executed with 126, and the log says why.
 *
 * Where `/bin/sh` of the image is bash, runc's commands have a `SHLVL` of 0 in their environment. Where the image has
 * no shell, the runtimes add a `HOME` to an environment without one. Otherwise nothing is added.
 *
 * Steps with the host's network share its abstract sockets and what listens on its loopback, with each other and with
 * the host: they can talk, and hand descriptors over. Run only what you trust with that.
 *
 * Closing it never rejects; what it could not take away is told as a process warning, and goes at the next opening.
 */
export async function openRuncSandbox(
  options: RuncSandboxOptions,
): Promise<Result<Sandbox, SandboxError | Busy>> {
  if (process.getuid?.() !== 0) return err(failed('containers need root: run as root'));
  const unknown = unknownAllowance(options.allow ?? []);
  if (unknown !== undefined) return err(failed(`a sandbox cannot allow "${unknown}"`));
  try {
    return await open(options);
  } catch (error) {
    // A disk that is full, read-only or broken, or no file descriptor left, is nobody's bug.
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    const message = `cannot use ${options.stateDir} for the state of the sandbox: ${error.message}`;
    return err(failed(message, error));
  }
}

async function open(options: RuncSandboxOptions): Promise<Result<Sandbox, SandboxError | Busy>> {
  await mkdir(options.stateDir, { recursive: true, mode: 0o700 });
  const stateDir = (await realpath(options.stateDir)) as HostPath;
  const lock = await lockDirectory(stateDir);
  if (lock.isErr()) return err(lock.error);
  const workshop = await setUp(stateDir, options).catch(async (error: unknown) => {
    await lock.value[Symbol.asyncDispose]();
    throw error;
  });
  if (workshop.isErr()) {
    await lock.value[Symbol.asyncDispose]();
    return err(workshop.error);
  }
  return ok(new RuncSandbox(workshop.value, () => close(workshop.value, lock.value)));
}

const HOSTS = '127.0.0.1\tlocalhost builder\n::1\tlocalhost ip6-localhost ip6-loopback builder\n';

async function setUp(
  stateDir: HostPath,
  options: RuncSandboxOptions,
): Promise<Result<Workshop, SandboxError>> {
  const runtime = await findRuntime(options.runtime);
  if (runtime.isErr()) return err(runtime.error);
  if (options.fastSync && !canFakeSuccess(runtime.value)) {
    return err(failed(`fastSync needs runc 1.0.0-rc92 or newer, and this is ${runtime.value.version}`));
  }
  const parent = `snapstep-${await identity(stateDir)}`;
  const layout = await probeCgroups(`${parent}-probe`);
  if (layout.isErr()) return err(layout.error);
  const runDir = join(stateDir, 'run');
  for (const former of await formerParents(runDir, parent)) {
    const cleared = await clear(layout.value, former, runDir);
    if (cleared.isErr()) return err(cleared.error);
  }
  const made = await furnish({ runtime: runtime.value, layout: layout.value, parent, runDir }, options).catch(
    async (error: unknown) => {
      await clear(layout.value, parent, runDir);
      throw error;
    },
  );
  if (made.isErr()) await clear(layout.value, parent, runDir);
  return made;
}

/** Mounts and makes what all steps share. What a failure leaves is the caller's to clear. */
async function furnish(
  place: Pick<Workshop, 'runtime' | 'layout' | 'parent' | 'runDir'>,
  options: RuncSandboxOptions,
): Promise<Result<Workshop, SandboxError>> {
  const { runtime, layout, parent, runDir } = place;
  const made = await makeRunDir(runDir, parent);
  if (made.isErr()) return err(made.error);
  const ownCgroups = runtime.kind === 'crun' && layout.version === 1;
  makeParent(layout, parent, ownCgroups);
  const { fastSync = false, noNewPrivileges = false, allow = [] } = options;
  return ok({
    ...{ ...place, ownCgroups, defaults: await containerDefaults({ fastSync, noNewPrivileges, allow }) },
    hosts: join(runDir, 'hosts'),
    emptyFile: join(runDir, 'empty/stdin'),
    resolvConf: await realpath('/etc/resolv.conf').catch(() => undefined),
    pipes: new OutputPipes(runDir),
  });
}

/**
 * The names of the cgroups that a dead owner may have left things in. Its own is also in its run directory, which lasts
 * as long as the cgroups do: the file of the identity may have been damaged since.
 */
async function formerParents(runDir: string, parent: string): Promise<readonly string[]> {
  const told = await readFile(join(runDir, PARENT_FILE), 'utf8').catch(() => '');
  return PARENT.test(told) && told !== parent ? [told, parent] : [parent];
}

const PARENT_FILE = 'parent';
const PARENT = /^snapstep-[0-9a-f]{12}$/;

/** Not made from the path: two machines, or containers, that share cgroups may use the same one. */
async function identity(stateDir: string): Promise<string> {
  const file = join(stateDir, 'identity');
  const known = await readFile(file, 'utf8').catch(ignoreMissing);
  if (/^[0-9a-f]{12}\n$/.test(known)) return known.trim();
  const made = randomBytes(6).toString('hex');
  await writeFile(file, `${made}\n`);
  return made;
}

/** A name that cannot be read is kept: what a dead owner has left running is found by it. */
function ignoreMissing(error: NodeJS.ErrnoException): string {
  if (error.code === 'ENOENT') return '';
  throw error;
}

/** Ends and removes what a dead owner has left. */
async function clear(
  layout: CgroupLayout,
  parent: string,
  runDir: string,
): Promise<Result<void, SandboxError>> {
  if (!(await removeParent(layout, parent, performance.now() + TEARDOWN_MS))) {
    const message = `containers of an earlier process cannot be ended: see the cgroups named ${parent}`;
    return err({ type: 'stuck', message, needsReboot: true });
  }
  for (let round = 0; round < 10; round += 1) {
    if (!(await isMountPoint(runDir))) return ok();
    const detached = await detach(runDir);
    if (detached.isErr()) return err(detached.error);
  }
  return err(failed(`${runDir} stays mounted`));
}

async function isMountPoint(path: string): Promise<boolean> {
  const mounts = await readMountTable();
  return mounts.some(({ target }) => target === path || target.startsWith(`${path}/`));
}

async function makeRunDir(runDir: string, parent: string): Promise<Result<void, SandboxError>> {
  await mkdir(runDir, { recursive: true });
  const mounted = await mountTmpfs(runDir);
  if (mounted.isErr()) return err(mounted.error);
  await writeFile(join(runDir, PARENT_FILE), parent);
  await mkdir(join(runDir, 'bundles'));
  await mkdir(join(runDir, 'runtime'), { mode: 0o700 });
  await writeFile(join(runDir, 'hosts'), HOSTS, { mode: 0o644 });
  const empty = join(runDir, 'empty');
  await mkdir(empty);
  await writeFile(join(empty, 'stdin'), '', { mode: 0o444 });
  const sealed = await sealDirectory(empty);
  return sealed.isErr() ? err(sealed.error) : ok();
}

async function containerDefaults(
  options: Required<Pick<RuncSandboxOptions, 'fastSync' | 'noNewPrivileges' | 'allow'>>,
): Promise<ContainerDefaults> {
  return {
    capabilities: await grantableCapabilities(),
    rlimits: await containerRlimits(),
    seccomp: seccompProfile({ arch: process.arch, ...options }),
    noNewPrivileges: options.noNewPrivileges,
    cgroupNamespace: existsSync('/proc/self/ns/cgroup'),
    maskedPaths: maskedPaths(),
  };
}

/** Never rejects, as disposing never does. What stays is no secret, and the next owner ends it. */
async function close({ layout, parent, runDir }: Workshop, lock: OwnerLock): Promise<void> {
  try {
    const cleared = await clear(layout, parent, runDir);
    if (cleared.isErr()) report(cleared.error.message);
  } catch (error) {
    report(String(error));
  } finally {
    await lock[Symbol.asyncDispose]();
  }
}

function report(problem: string): void {
  debug('closing: %s', problem);
  process.emitWarning(`a sandbox was closed and left something behind: ${problem}`);
}
