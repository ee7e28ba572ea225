import { spawn } from 'node:child_process';
import { chmodSync, chownSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import { makeFifos } from './fifo.ts';

/** A pipe from a command's standard output and standard error to us. One for both, so that their order is kept. */
export interface OutputPipe extends AsyncDisposable {
  /** Ends when the last process that can write has ended. Reading nothing makes the command wait. */
  readonly reader: Readable;
  /** For the command. */
  readonly writer: number;
  /** To be called once the command has it. */
  closeWriter(): void;
}

const BATCH = 8;

/** Hands out pipes. They are made in batches and used again: making one needs a program. */
export class OutputPipes {
  readonly #directory: string;
  readonly #free: string[] = [];
  #count = 0;

  constructor(directory: string) {
    this.#directory = directory;
  }

  /**
   * @param shareable - Whether the command could hand the pipe to a process that outlives it, which could then read
   * what the next command prints. Such a pipe is not used again.
   * @param exposed - Whether the command gets this very pipe, and not one of the runtime's own.
   */
  async open(options: {
    readonly shareable: boolean;
    readonly exposed: boolean;
  }): Promise<Result<OutputPipe, Failed>> {
    const path = this.#free.pop() ?? (await this.#make());
    if (typeof path !== 'string') return err(path);
    // The runtime gives it to the command's user, who may have changed it.
    chownSync(path, 0, 0);
    chmodSync(path, 0o600);
    // A reader that does not wait for a writer comes first; then the writer need not wait for a reader.
    const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
    const writer = openSync(path, constants.O_WRONLY);
    const reader = options.exposed
      ? relay(path, first)
      : new Socket({ fd: first, readable: true, writable: false });
    let isOpen = true;
    const closeWriter = (): void => {
      if (isOpen) closeSync(writer);
      isOpen = false;
    };
    const closed = new Promise<void>((resolve) => reader.once('close', () => resolve()));
    return ok({
      ...{ reader, writer, closeWriter },
      [Symbol.asyncDispose]: async () => {
        closeWriter();
        reader.destroy();
        await closed;
        // What was left unread is gone with the last descriptor.
        if (options.shareable) rmSync(path);
        else this.#free.push(path);
      },
    });
  }

  async #make(): Promise<string | Failed> {
    const paths = Array.from({ length: BATCH }, () => join(this.#directory, `output-${this.#count++}`));
    const made = await makeFifos(paths);
    if (made.isErr()) return failed(`cannot make pipes in ${this.#directory}`, made.error);
    const [first, ...rest] = paths;
    this.#free.push(...rest);
    return first as string;
  }
}

/**
 * Reads through a process. A command that splices from a socket into its output keeps the pipe locked until something
 * comes, and whoever reads it then, or closes it, hangs in the kernel, whether or not it asked to wait.
 */
function relay(path: string, first: number): Readable {
  // A second reader, as the first one does not wait.
  const fd = openSync(path, constants.O_RDONLY);
  closeSync(first);
  const child = spawn('cat', {
    stdio: [fd, 'pipe', 'ignore'],
    env: { PATH: process.env.PATH },
    detached: true,
  });
  closeSync(fd);
  const { stdout } = child;
  if (stdout === null) throw new Error('a process that was spawned with a pipe has none');
  stdout.once('close', () => child.kill('SIGKILL'));
  child.once('error', (error) => stdout.destroy(error));
  return stdout;
}
