import { chmodSync, chownSync, closeSync, constants, openSync, rmSync } from 'node:fs';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import { makeFifos } from './fifo.ts';

/** A pipe from a command's standard output and standard error to us. One for both, so that their order is kept. */
export interface OutputPipe extends AsyncDisposable {
  /** Ends when the last process that can write has ended. Reading nothing makes the command wait. */
  readonly reader: Socket;
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
   */
  async open({ shareable }: { readonly shareable: boolean }): Promise<Result<OutputPipe, Failed>> {
    const path = this.#free.pop() ?? (await this.#make());
    if (typeof path !== 'string') return err(path);
    // The runtime gives it to the command's user, who may have changed it.
    chownSync(path, 0, 0);
    chmodSync(path, 0o600);
    // A reader that does not wait for a writer comes first; then the writer need not wait for a reader.
    const reader = new Socket({
      fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
      readable: true,
      writable: false,
    });
    const writer = openSync(path, constants.O_WRONLY);
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
        if (shareable) rmSync(path);
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
