import { constants, openSync } from 'node:fs';
import { chmod, chown, type FileHandle, open } from 'node:fs/promises';
import { Socket } from 'node:net';
import { join } from 'node:path';
import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import { makeFifos } from './fifo.ts';

/** A pipe from a command's standard output and standard error to us. One for both, so that their order is kept. */
export interface OutputPipe extends AsyncDisposable {
  /** Ends when the last process that can write has ended. Reading nothing makes the command wait. */
  readonly reader: Socket;
  /** For the command; to be closed here once the command has it. */
  readonly writer: FileHandle;
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

  async open(): Promise<Result<OutputPipe, Failed>> {
    const path = this.#free.pop() ?? (await this.#make());
    if (typeof path !== 'string') return err(path);
    // The runtime gives it to the command's user, who may have changed it.
    await chown(path, 0, 0);
    await chmod(path, 0o600);
    // A reader that does not wait for a writer comes first; then the writer need not wait for a reader.
    // It is opened by number, since a FileHandle closes what the socket comes to own.
    const reader = new Socket({
      fd: openSync(path, constants.O_RDONLY | constants.O_NONBLOCK),
      readable: true,
      writable: false,
    });
    const writer = await open(path, constants.O_WRONLY);
    return ok({
      reader,
      writer,
      [Symbol.asyncDispose]: async () => {
        reader.destroy();
        await writer.close();
        this.#free.push(path);
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
