import { err, ok, type Result } from 'neverthrow';
import { cancelled } from '../backend/failures.ts';
import type { ImageConfig } from '../backend/fetcher.ts';
import type { LogSink } from '../backend/log-sink.ts';
import type { CacheId, StepKey } from '../backend/names.ts';
import type { Account, CacheMount, Exit, ResourceLimits, RunRequest } from '../backend/sandbox.ts';
import type { Volumes } from '../backend/volume.ts';
import type { CheckedOut } from '../cache/cache-broker.ts';
import { maskSecrets } from '../log/masked-log.ts';
import type { KeyedInputs } from '../plan/key.ts';
import { joinPath, type Settings } from '../plan/stages.ts';
import type { RunOp, UserRef } from '../spec/spec.ts';
import type { BuildError, SecretValue } from './builder.ts';
import type { StepWatch } from './disk-watch.ts';
import type { Engine } from './engine.ts';
import { describeExit, fromSandbox, fromStore, fromThrown } from './errors.ts';
import type { StepIo } from './produce.ts';

export interface RunStep {
  readonly key: StepKey;
  readonly stage: string;
  readonly op: RunOp;
  readonly settings: Settings;
  readonly image: ImageConfig;
  readonly secrets: ReadonlyMap<string, SecretValue>;
  readonly limits: ResourceLimits;
}

/** What goes into the key of a `run`: all that the spec says of it, and nothing of this build. */
export function runInputs(
  engine: Engine,
  step: { readonly parent: StepKey; readonly op: RunOp; readonly settings: Settings },
  secrets: ReadonlyMap<string, SecretValue>,
): KeyedInputs & { readonly op: 'run' } {
  const { op, settings, parent } = step;
  return {
    op: 'run',
    parent,
    argv: argvOf(engine, op, settings),
    cwd: settings.cwd,
    env: settings.env,
    ...(settings.user === undefined ? {} : { user: settings.user }),
    network: op.network.includes('host') ? 'host' : 'none',
    caches: op.caches.map(({ id, target }) => ({ id, target })),
    secrets: op.secrets.map(({ id, target }) => ({ id, target, ...versionOf(given(secrets, id)) })),
  };
}

/** Runs the command of a `run` in the active snapshot. */
export async function runBody(
  engine: Engine,
  step: RunStep,
  io: StepIo,
): Promise<Result<ImageConfig, BuildError>> {
  const account = await accountOf(engine, step.settings.user ?? step.image.user ?? ROOT, io.active.volumes);
  if (account.isErr()) return err(account.error);
  await using caches = new CacheCopies(engine, { step, log: io.log });
  const mounts = await caches.checkOut(account.value);
  if (mounts.isErr()) return err(mounts.error);

  using _turn = await engine.commands.take(io.signal);
  io.onStart();
  const request = runRequest(engine, step, { io, account: account.value, mounts: mounts.value });
  const exit = await runWatched(engine, io.watch, request);
  if (exit.isErr()) return err(exit.error);
  if (io.signal.aborted) return err(cancelled(io.signal));
  // What a command that was killed left in a cache may be half of something.
  if (exit.value.type === 'exited') {
    const kept = await caches.finish();
    if (kept.isErr()) return err(kept.error);
  }
  return isSuccess(exit.value) ? ok(step.image) : err(stepFailed(step, exit.value));
}

/**
 * Runs a command, unless there is hardly any room for it. The values of its secrets are masked in what it prints. What it
 * did while a disk was full is not trusted, however it exited: that is `no-space`.
 */
export async function runWatched(
  { sandbox, features, stateDir }: Pick<Engine, 'sandbox' | 'features' | 'stateDir'>,
  watch: StepWatch,
  request: RunRequest,
): Promise<Result<Exit, Extract<BuildError, { type: 'sandbox' | 'store' | 'cancelled' }>>> {
  if (watch.shortage) return err(full(`the disk of the step is nearly full: ${watch.shortage}`));
  const run = async () => {
    const { output, flush } = maskSecrets(
      request.output,
      request.secrets.map(({ value }) => value),
    );
    const ended = await sandbox.run({ ...request, output }, watch.features(features));
    await flush();
    return ended.mapErr(fromSandbox);
  };
  // The log may be on the same disk: then it is the store that has to make room.
  const exit = await run().catch((error: unknown) => {
    const thrown = watch.shortage === undefined ? undefined : fromThrown(error, `the disk of ${stateDir}`);
    if (thrown === undefined) throw error;
    return err(thrown);
  });
  if (exit.isErr() || exit.value.type === 'limit-exceeded' || request.signal.aborted) return exit;
  const shortage = await watch.judge();
  if (shortage === undefined) return exit;
  const why = 'programs do not always notice, so what the command left behind is not kept';
  return err(full(`the disk was full while the command ran (${shortage}); ${why}`));
}

function full(message: string): Extract<BuildError, { type: 'store' }> {
  return { type: 'store', error: { type: 'no-space', message }, message };
}

/** The user that a step's settings mean, as the file system of the step knows it. */
export async function accountOf(
  engine: Pick<Engine, 'sandbox'>,
  user: UserRef,
  volumes: Volumes,
): Promise<Result<Account, BuildError>> {
  const account = await engine.sandbox.account(user, volumes);
  if (account.isErr()) return err(fromSandbox(account.error));
  if (account.value !== undefined) return ok(account.value);
  const name = 'name' in user ? `"${user.name}"` : `${user.uid}`;
  return err({
    type: 'invalid-spec',
    message: `the image has no user ${name}; give (uid ...) and (gid ...) instead`,
  });
}

/** The working directory of a step, absolute. */
export function workingDirectory(settings: Settings, image: ImageConfig): string {
  const ofImage = joinPath('/', image.cwd ?? '');
  return settings.cwd === '' ? ofImage : joinPath(ofImage, settings.cwd);
}

export const ROOT: UserRef = { uid: 0, gid: 0 };

function runRequest(
  engine: Engine,
  step: RunStep,
  {
    io,
    account,
    mounts,
  }: { readonly io: StepIo; readonly account: Account; readonly mounts: readonly CacheMount[] },
): RunRequest {
  const { op, settings, image } = step;
  const cwd = workingDirectory(settings, image);
  return {
    argv: argvOf(engine, op, settings),
    cwd,
    env: { PATH: engine.sandbox.defaultPath, HOME: account.home, ...image.env, ...settings.env },
    user: { uid: account.uid, gid: account.gid },
    network: op.network.includes('host') ? 'host' : 'none',
    limits: step.limits,
    volumes: io.active.volumes,
    mounts,
    secrets: op.secrets.map(({ id, target }) => ({
      target: joinPath(cwd, target),
      value: bytesOf(given(step.secrets, id)),
    })),
    output: io.log,
    signal: io.signal,
  };
}

function argvOf(engine: Engine, op: RunOp, settings: Settings): readonly [string, ...string[]] {
  const [first, ...rest] = [...(settings.shell ?? engine.sandbox.defaultShell), op.command];
  return [first ?? op.command, ...rest];
}

function given(secrets: ReadonlyMap<string, SecretValue>, id: string): SecretValue {
  const secret = secrets.get(id);
  if (secret === undefined) throw new Error('the request was not checked: a secret is missing');
  return secret;
}

function versionOf(secret: SecretValue): { version?: string } {
  return secret instanceof Uint8Array ? {} : { version: secret.version };
}

function bytesOf(secret: SecretValue): Uint8Array {
  return secret instanceof Uint8Array ? secret : secret.value;
}

function isSuccess(exit: Exit): boolean {
  return exit.type === 'exited' && exit.code === 0;
}

function stepFailed(step: RunStep, exit: Exit): BuildError {
  const { key, stage, op } = step;
  return { type: 'step-failed', key, stage, op, exit, message: `the command ${describeExit(exit)}` };
}

/** The copies of cache volumes that one step uses. Disposing discards those that were not published. */
class CacheCopies implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #step: RunStep;
  readonly #log: LogSink;
  readonly #copies: (readonly [id: CacheId, copy: CheckedOut])[] = [];

  constructor(engine: Engine, { step, log }: { readonly step: RunStep; readonly log: LogSink }) {
    this.#engine = engine;
    this.#step = step;
    this.#log = log;
  }

  async checkOut(owner: Account): Promise<Result<readonly CacheMount[], BuildError>> {
    const { op, settings, image } = this.#step;
    const cwd = workingDirectory(settings, image);
    const mounts: CacheMount[] = [];
    for (const { id, target } of op.caches) {
      const copy = await this.#engine.caches.checkOut(id, { uid: owner.uid, gid: owner.gid });
      if (copy.isErr()) return err(fromStore(copy.error));
      this.#copies.push([id, copy.value]);
      const { dropped } = copy.value;
      if (dropped)
        await this.#note(`The cache "${id}" could not be copied, and begins anew: ${dropped.message}`);
      mounts.push({ volume: copy.value.volume, target: joinPath(cwd, target) });
    }
    return ok(mounts);
  }

  /** A step whose command ended is not worth less because of what it left in a cache: that is not kept then. */
  async finish(): Promise<Result<void, BuildError>> {
    for (const [id, copy] of this.#copies) {
      const finished = await copy.finish();
      if (finished.isOk()) continue;
      if (finished.error.type !== 'failed') return err(fromStore(finished.error));
      await this.#note(`What is in the cache "${id}" cannot be kept: ${finished.error.message}`);
    }
    return ok();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#copies.map(([, copy]) => copy[Symbol.asyncDispose]()));
  }

  /** The log may be on a disk that is full. */
  async #note(text: string): Promise<void> {
    await this.#log.write(`${text}\n`).catch(() => {});
  }
}
