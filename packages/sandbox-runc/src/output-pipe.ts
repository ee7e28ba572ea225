import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import createDebug from 'debug';
import { makeFifos } from './fifo.ts';

const debug = createDebug('snapstep:container');

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
    const ends = await openEnds(path, options).catch((error: unknown) => {
      this.#free.push(path);
      throw error;
    });
    if (ends.isErr()) {
      this.#free.push(path);
      return err(ends.error);
    }
    const { reader, writer } = ends.value;
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

interface Ends {
  readonly reader: Readable;
  readonly writer: number;
}

/** Opens both ends, or none. @throws What the system says. */
async function openEnds(
  path: string,
  { exposed }: { readonly exposed: boolean },
): Promise<Result<Ends, Failed>> {
  // A reader that does not wait for a writer comes first; then the writer need not wait for a reader.
  const first = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  const writer = openOrClose(path, { flags: constants.O_WRONLY, onFailure: [first] });
  const reader = exposed
    ? await relay(path, { first, writer })
    : ok(new Socket({ fd: first, readable: true, writable: false }));
  if (reader.isErr()) {
    closeSync(writer);
    return err(reader.error);
  }
  // Whoever reads is told; but nobody may be reading.
  reader.value.on('error', (error) => debug('%s: %s', path, error));
  return ok({ reader: reader.value, writer });
}

/**
 * Reads through a process. A command that splices from a socket into its output keeps the pipe locked until something
 * comes, and whoever reads it then, or closes it, hangs in the kernel, whether or not it asked to wait.
 */
async function relay(
  path: string,
  { first, writer }: { readonly first: number; readonly writer: number },
): Promise<Result<Readable, Failed>> {
  // A second reader, as the first one does not wait.
  const fd = openOrClose(path, { flags: constants.O_RDONLY, onFailure: [first, writer] });
  closeSync(first);
  const child = spawn('cat', {
    stdio: [fd, 'pipe', 'ignore'],
    env: { PATH: process.env.PATH },
    detached: true,
  });
  closeSync(fd);
  const stdout = child.stdout ?? undefined;
  child.on('error', (error) => stdout?.destroy(error));
  if (stdout === undefined) {
    // A process that has too many files open gets no stream, and is told by an event.
    const [error] = await once(child, 'error');
    return err(failed(`cannot start the program that reads what a command prints: ${error.message}`, error));
  }
  stdout.once('close', () => child.kill('SIGKILL'));
  return ok(stdout);
}

function openOrClose(
  path: string,
  { flags, onFailure }: { readonly flags: number; readonly onFailure: readonly number[] },
): number {
  try {
    return openSync(path, flags);
  } catch (error) {
    for (const fd of onFailure) closeSync(fd);
    throw error;
  }
}
