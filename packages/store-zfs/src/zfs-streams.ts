import { type ChildProcess, spawn } from 'node:child_process';
import { err, failed, ok, type Result, type StoreError } from '@snapstep/core/backend';
import createDebug from 'debug';
import { type Commands, commandFailure } from './commands.ts';
import type { Properties } from './zfs.ts';

const debug = createDebug('snapstep:zfs');

export interface SendOptions {
  readonly snapshot: string;
  /** An earlier snapshot, also of what this one was cloned from. */
  readonly since?: string | undefined;
  readonly signal: AbortSignal;
}

/**
 * What `zfs send` prints, as it comes. Ends the process when nobody reads on.
 *
 * @throws Error with what it said, if it fails; the reason of the signal, if that is aborted.
 */
export async function* sendSnapshot(
  commands: Commands,
  { snapshot, since, signal }: SendOptions,
): AsyncGenerator<Uint8Array> {
  signal.throwIfAborted();
  const refusal = commands.refusal();
  if (refusal !== undefined) throw new Error(refusal.message);
  const args = ['send', ...(since === undefined ? [] : ['-i', since]), snapshot];
  const process = new StreamingZfs(commands, { args, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => process.kill();
  signal.addEventListener('abort', kill);
  try {
    for await (const chunk of process.child.stdout ?? []) yield chunk;
    signal.throwIfAborted();
    const sent = await process.ended();
    if (sent.isErr()) throw new Error(sent.error.message);
  } finally {
    signal.removeEventListener('abort', kill);
    await process.end();
  }
}

/** A `zfs receive` that is fed with a stream. Ends by {@link finish} or by disposing it. */
export class Receiving implements AsyncDisposable {
  readonly #process: StreamingZfs;

  /** @param options.properties - With `origin`, the snapshot that an incremental stream starts from. */
  constructor(
    commands: Commands,
    { snapshot, properties }: { readonly snapshot: string; readonly properties: Properties },
  ) {
    const options = Object.entries(properties).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
    const args = ['receive', '-u', ...options, snapshot];
    this.#process = new StreamingZfs(commands, { args, stdio: ['pipe', 'ignore', 'pipe'] });
  }

  /** Takes no more than it can keep in memory. */
  async write(data: Uint8Array): Promise<void> {
    const { stdin } = this.#process.child;
    if (!stdin || stdin.destroyed || stdin.write(data)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    stdin.once('drain', resolve).once('close', resolve);
    await promise;
    stdin.off('drain', resolve).off('close', resolve);
  }

  finish(): Promise<Result<void, StoreError>> {
    this.#process.child.stdin?.end();
    return this.#process.ended();
  }

  /** What is being written or waited for settles then. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process.end();
  }
}

/** A `zfs` of which an end is a stream. */
class StreamingZfs {
  readonly child: ChildProcess;
  readonly #commands: Commands;
  readonly #args: readonly string[];
  readonly #closed: Promise<unknown>;
  readonly #givenUp = Promise.withResolvers<void>();
  #stderr = '';
  #spawnError: Error | undefined;

  constructor(
    commands: Commands,
    { args, stdio }: { readonly args: readonly string[]; readonly stdio: ('ignore' | 'pipe')[] },
  ) {
    debug('zfs %o', args);
    this.#commands = commands;
    this.#args = args;
    this.child = spawn('zfs', args, { stdio, env: { ...process.env, LC_ALL: 'C' } });
    this.#closed = new Promise((resolve) => this.child.once('close', resolve));
    this.child.on('error', (error) => {
      this.#spawnError ??= error;
    });
    // It may end before it has read all, and says why by its exit code.
    this.child.stdin?.on('error', () => {});
    this.child.stderr?.on('error', () => {});
    this.child.stderr?.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    const end = (): void => {
      this.end().catch(() => {}); // `close` waits for it.
    };
    const forget = (): void => commands.closing.removeEventListener('abort', end);
    commands.closing.addEventListener('abort', end);
    commands.track(this.ended()).then(forget, forget);
  }

  kill(): void {
    this.child.stdin?.destroy();
    this.child.kill('SIGKILL');
  }

  /** Kills it, and waits until it is gone, or counts as stuck. */
  async end(): Promise<void> {
    this.kill();
    const ended = await this.#commands.endOf(this.#closed, ['zfs', ...this.#args]);
    if (ended.isErr()) this.#givenUp.resolve();
  }

  async ended(): Promise<Result<void, StoreError>> {
    if (this.#spawnError === undefined) await Promise.race([this.#closed, this.#givenUp.promise]);
    const { exitCode } = this.child;
    const command = `zfs ${this.#args.join(' ')}`;
    if (this.#spawnError) return err(failed(`"${command}" cannot be started`, this.#spawnError));
    if (exitCode === 0) return ok();
    const message = `"${command}" exited with ${exitCode ?? this.child.signalCode}: ${this.#stderr.trim()}`;
    return err(
      commandFailure({ type: 'failed', message, exitCode: exitCode ?? undefined, stderr: this.#stderr }),
    );
  }
}
