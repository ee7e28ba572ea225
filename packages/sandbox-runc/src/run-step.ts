import { randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  cancelled,
  type Exit,
  err,
  failed,
  ok,
  type Result,
  type RunRequest,
  type SandboxError,
  saysDiskFull,
  systemCallFailure,
} from '@snapstep/core/backend';
import { supplementaryGroups } from './accounts.ts';
import type { CgroupLayout } from './cgroup-layout.ts';
import { type CgroupRequest, type ContainerCgroups, makeCgroups } from './cgroups.ts';
import { commandLine } from './command-line.ts';
import { type ContainerEnd, runContainer, TEARDOWN_MS } from './container.ts';
import { launcher } from './launcher.ts';
import { prepareMounts } from './mounts.ts';
import { type ContainerDefaults, ociConfig } from './oci-config.ts';

import type { OutputPipe, OutputPipes } from './output-pipe.ts';
import { Places } from './places.ts';
import { removeDirectory } from './remove-directory.ts';
import { stringifyConfig } from './resource-ceilings.ts';
import { type Runtime, runArguments } from './runtime.ts';
import { commandNotExecuted, commandNotStarted, runtimeFailure } from './runtime-log.ts';
import { writeSecrets } from './secrets.ts';
import { mountWorld, type World } from './world.ts';

/** What the steps of one open sandbox share. */
export interface Workshop {
  readonly runtime: Runtime;
  readonly layout: CgroupLayout;
  /** Whether containers' cgroups are set up here: crun 1.8 has no way to keep them for us to read. */
  readonly ownCgroups: boolean;
  readonly defaults: ContainerDefaults;
  /** The cgroup, and the prefix of every container's name, that are this sandbox's alone. */
  readonly parent: string;
  /** A tmpfs that lives as long as the sandbox. */
  readonly runDir: string;
  readonly hosts: string;
  /** The standard input of commands that are given none. Nobody can write to it. */
  readonly emptyFile: string;
  readonly resolvConf: string | undefined;
  readonly pipes: OutputPipes;
}

/** Runs one command to its end, and takes everything away again that was needed for it. */
export async function runStep(workshop: Workshop, request: RunRequest): Promise<Result<Exit, SandboxError>> {
  if (request.signal.aborted) return err(cancelled(request.signal));
  const world = await mountWorld(request);
  if (world.isErr()) return err(world.error);
  await using mounted = world.value;
  if (request.signal.aborted) return err(cancelled(request.signal));
  await using attempt = new Attempt(workshop, mounted);
  const exit = await attempt.run(request);
  const left = await attempt.tearDown();
  return left === undefined ? exit : err(left);
}

/** One container, from its first file to its last. What is in memory, its bundle and its cgroups, is used directly. */
class Attempt implements AsyncDisposable {
  readonly #workshop: Workshop;
  readonly #world: World;
  readonly #id: string = randomBytes(6).toString('hex');
  readonly #bundle: string;
  readonly #places: Places;
  #cgroups: ContainerCgroups | undefined;
  #survivors: readonly number[] = [];
  /** What the runtime executes. */
  #program = '';
  #isDown = false;
  #logFailed = false;

  constructor(workshop: Workshop, world: World) {
    this.#workshop = workshop;
    this.#world = world;
    this.#bundle = join(workshop.runDir, 'bundles', this.#id);
    this.#places = new Places(world.rootfs);
  }

  async run(request: RunRequest): Promise<Result<Exit, SandboxError>> {
    try {
      return await this.#run(request);
    } catch (error) {
      // What the log throws is the log's own.
      if (this.#logFailed) throw error;
      return err(this.#failureOf(error, 'cannot run a step'));
    }
  }

  async #run(request: RunRequest): Promise<Result<Exit, SandboxError>> {
    const { layout, ownCgroups, parent } = this.#workshop;
    mkdirSync(this.#bundle, { mode: 0o700 });
    const cgroups = tryToMakeCgroups(layout, { parent, name: this.#id, limits: request.limits, ownCgroups });
    if (cgroups.isErr()) return err(cgroups.error);
    this.#cgroups = cgroups.value;
    const configured = await this.#configure(request, this.#cgroups);
    if (configured.isErr()) return err(configured.error);
    const pipe = await this.#workshop.pipes.open({
      shareable: request.network === 'host',
      exposed: this.#workshop.runtime.kind === 'crun',
    });
    if (pipe.isErr()) return err(pipe.error);
    await using output = pipe.value;
    using stdin = this.#openEmptyFile();
    const end = await this.#start(request, { cgroups: this.#cgroups, output, stdin });
    this.#survivors = end.survivors;
    if (end.stopped?.why === 'output') this.#logFailed = true;
    if (end.stopped?.why === 'output') throw end.stopped.error;
    return await this.#judge(request, this.#cgroups, end);
  }

  /** @returns What could not be removed, or put back as it was. */
  async tearDown(): Promise<SandboxError | undefined> {
    this.#isDown = true;
    if (this.#survivors.length > 0) return stuck(`processes ${this.#survivors.join(', ')} do not end`);
    const [isGone, ...removed] = await Promise.all([
      this.#cgroups?.remove(performance.now() + TEARDOWN_MS) ?? true,
      ...[
        removeDirectory(this.#bundle),
        removeDirectory(join(this.#runtimeRoot, this.#name)),
        this.#places.remove(),
      ].map((removal) => removal.catch((error) => this.#failureOf(error, 'cannot clean up after a step'))),
    ]);
    if (!isGone) return stuck(`the cgroups ${this.#workshop.parent}/${this.#id} cannot be removed`);
    return removed.find((failure) => failure !== undefined);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#isDown) await this.tearDown();
  }

  /** A full disk, or a read-only one, is nobody's bug. @throws What no system call said. */
  #failureOf(error: unknown, what: string): SandboxError {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return systemCallFailure(error, `${what} in ${this.#world.rootfs}: ${error.message}`);
  }

  get #name(): string {
    return `${this.#workshop.parent}-${this.#id}`;
  }

  get #runtimeRoot(): string {
    return join(this.#workshop.runDir, 'runtime');
  }

  get #log(): string {
    return join(this.#bundle, 'log.json');
  }

  async #configure(request: RunRequest, cgroups: ContainerCgroups): Promise<Result<void, SandboxError>> {
    const { rootfs, caches } = this.#world;
    const { hosts, resolvConf, defaults } = this.#workshop;
    const secrets =
      request.secrets.length === 0
        ? []
        : await writeSecrets(join(this.#bundle, 'secrets'), request.secrets, request.user);
    const files = { hosts, secrets, ...(request.network === 'host' && resolvConf && { resolvConf }) };
    const groups = await supplementaryGroups(rootfs, request.user);
    if (groups.isErr()) return err(groups.error);
    const argv = await commandLine(this.#workshop.runtime, rootfs, request);
    if (argv.isErr()) return err(argv.error);
    this.#program = argv.value[0] ?? '';
    const prepared = await prepareMounts(this.#places, { ...request, caches }, files);
    if (prepared.isErr()) return err(prepared.error);
    const config = ociConfig(defaults, {
      ...{ rootfs, argv: argv.value, env: request.env, user: request.user, network: request.network },
      ...{ groups: groups.value, ...prepared.value },
      ...(cgroups.forRuntime && { cgroup: cgroups.forRuntime }),
    });
    writeFileSync(join(this.#bundle, 'config.json'), stringifyConfig(config), { mode: 0o600 });
    return ok();
  }

  /**
   * Not /dev/null, whose mode a command that runs as root could change for the whole host through its descriptor, and
   * no file that it could open again for writing through /proc/self/fd/0.
   */
  #openEmptyFile(): Disposable & { readonly fd: number } {
    const fd = openSync(this.#workshop.emptyFile, 'r');
    return { fd, [Symbol.dispose]: () => closeSync(fd) };
  }

  #start(
    request: RunRequest,
    with_: {
      readonly cgroups: ContainerCgroups;
      readonly output: OutputPipe;
      readonly stdin: { readonly fd: number };
    },
  ): Promise<ContainerEnd> {
    const { runtime, layout, ownCgroups } = this.#workshop;
    const run = { root: this.#runtimeRoot, log: this.#log, bundle: this.#bundle, id: this.#name };
    return runContainer({
      command: launcher(layout, {
        log: this.#log,
        join: with_.cgroups.join,
        hide: runtime.kind === 'crun',
        command: runArguments(runtime, { ...run, ownCgroups }),
      }),
      scratch: this.#bundle,
      cgroups: with_.cgroups,
      pipe: with_.output,
      stdin: request.stdin ?? with_.stdin,
      output: request.output,
      limits: request.limits,
      signal: request.signal,
    });
  }

  async #judge(
    request: RunRequest,
    cgroups: ContainerCgroups,
    end: ContainerEnd,
  ): Promise<Result<Exit, SandboxError>> {
    const { limits } = request;
    if (end.stopped?.why === 'cancelled') return err(cancelled(request.signal));
    if (end.stopped?.why === 'pipe') {
      const { error } = end.stopped;
      return err(failed(`cannot read what the command prints: ${(error as Error).message}`, error));
    }
    if (end.stopped?.why === 'limit') return ok({ type: 'limit-exceeded', limit: end.stopped.limit });
    if (limits.memoryBytes !== undefined && cgroups.wasOutOfMemory()) {
      return ok({ type: 'limit-exceeded', limit: 'memoryBytes' });
    }
    if (end.code === 0) return ok({ type: 'exited', code: 0 });
    if (limits.pids !== undefined && cgroups.wasOutOfPids()) {
      return ok({ type: 'limit-exceeded', limit: 'pids' });
    }
    const { program } = this.#workshop.runtime;
    if (end.startError)
      return err(failed(`cannot start ${program}: ${end.startError.message}`, end.startError));
    if (end.killedBy) return err(failed(`${program} was killed by ${end.killedBy} from outside`));
    return this.#judgeFailure(request, end);
  }

  async #judgeFailure(
    request: RunRequest,
    { code, brief }: ContainerEnd,
  ): Promise<Result<Exit, SandboxError>> {
    const failure = await runtimeFailure(this.#log);
    const shellCode = failure
      ? commandNotStarted(failure)
      : code === 1 && brief
        ? commandNotExecuted(brief, this.#program)
        : undefined;
    if (failure && shellCode === undefined) {
      const message = `${this.#workshop.runtime.program}: ${failure}`;
      // The kernel says the same of a cgroup that it cannot make, or that has no processors.
      const isFull = saysDiskFull(failure) && !/cgroup|cpuset/.test(failure);
      return err(isFull ? { type: 'no-space', message } : failed(message));
    }
    if (shellCode === undefined) return ok({ type: 'exited', code: code ?? 1 });
    const reason = shellCode === 127 ? 'command not found' : 'cannot be executed';
    await request.output.write(`${request.argv[0]}: ${reason}\n`);
    return ok({ type: 'exited', code: shellCode });
  }
}

/** `ENOSPC` means here that the kernel keeps no more cgroups: no disk is full. */
function tryToMakeCgroups(
  layout: CgroupLayout,
  request: CgroupRequest,
): Result<ContainerCgroups, SandboxError> {
  try {
    return ok(makeCgroups(layout, request));
  } catch (error) {
    if (!(error instanceof Error && 'syscall' in error)) throw error;
    return err(failed(`cannot make the cgroups of a step: ${error.message}`, error));
  }
}

function stuck(message: string): SandboxError {
  return { type: 'stuck', message, needsReboot: false };
}
