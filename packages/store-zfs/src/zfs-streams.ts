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
  const args = ['send', ...(since === undefined ? [] : ['-i', since]), snapshot];
  const process = new StreamingZfs(commands, { args, stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = () => process.kill();
  signal.addEventListener('abort', kill);
  try {
    for await (const chunk of process.child.stdout ?? []) yield chunk;
    signal.throwIfAborted();
    const sent = await process.ended();
    if (sent.isErr()) throw new Error('message' in sent.error ? sent.error.message : sent.error.type);
  } finally {
    signal.removeEventListener('abort', kill);
    process.kill();
    await process.ended();
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
    if (stdin === null || stdin.destroyed || stdin.write(data)) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    stdin.once('drain', resolve).once('close', resolve);
    await promise;
    stdin.off('drain', resolve).off('close', resolve);
  }

  finish(): Promise<Result<void, StoreError>> {
    this.#process.child.stdin?.end();
    return this.#process.ended();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#process.kill();
    await this.#process.ended();
  }
}

/** A `zfs` of which an end is a stream. */
class StreamingZfs {
  readonly child: ChildProcess;
  readonly #args: readonly string[];
  readonly #closed: Promise<unknown>;
  #stderr = '';
  #spawnError: Error | undefined;

  constructor(
    commands: Commands,
    { args, stdio }: { readonly args: readonly string[]; readonly stdio: ('ignore' | 'pipe')[] },
  ) {
    debug('zfs %o', args);
    this.#args = args;
    this.child = spawn('zfs', args, { stdio, env: { ...process.env, LC_ALL: 'C' } });
    this.#closed = new Promise((resolve) => this.child.once('close', resolve));
    this.child.once('error', (error) => {
      this.#spawnError = error;
    });
    // It may end before it has read all, and says why by its exit code.
    this.child.stdin?.on('error', () => {});
    this.child.stderr?.on('data', (chunk) => {
      this.#stderr += chunk;
    });
    const kill = () => this.kill();
    commands.closing.addEventListener('abort', kill);
    void commands.track(this.ended()).finally(() => commands.closing.removeEventListener('abort', kill));
  }

  kill(): void {
    this.child.stdin?.destroy();
    this.child.kill('SIGKILL');
  }

  async ended(): Promise<Result<void, StoreError>> {
    if (this.#spawnError === undefined) await this.#closed;
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
