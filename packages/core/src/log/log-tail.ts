import type { FileHandle } from 'node:fs/promises';
import { closeFile, readAt, writeAt } from './log-file.ts';
import { textStart } from './text-cuts.ts';

/**
 * The last bytes of what is written to it, in a file that never grows beyond its capacity: what is new takes the place
 * of what is oldest. Offsets count all that was written, from 0.
 */
export class LogTail {
  readonly #file: FileHandle;
  readonly #capacity: number;
  #end = 0;
  /** How far writing has begun. What it takes the place of may be gone at any moment. */
  #claimed = 0;

  /** @param options.file - Empty, and of nobody else. */
  constructor({ file, capacity }: { readonly file: FileHandle; readonly capacity: number }) {
    this.#file = file;
    this.#capacity = capacity;
  }

  /** The first offset that is still there. */
  get start(): number {
    return Math.min(this.#end, Math.max(0, this.#claimed - this.#capacity));
  }

  get end(): number {
    return this.#end;
  }

  /** One write at a time. After one that failed, `end` is where it was. */
  async write(bytes: Uint8Array): Promise<void> {
    const end = this.#end + bytes.length;
    this.#claimed = Math.max(this.#claimed, end);
    for (let at = Math.max(this.#end, end - this.#capacity); at < end; ) {
      const position = at % this.#capacity;
      const from = bytes.length - (end - at);
      const part = bytes.subarray(from, from + this.#capacity - position);
      await writeAt(this.#file, part, { position });
      at += part.length;
    }
    this.#end = end;
  }

  /** The bytes from an offset on, as many as come at once; undefined if they were overwritten before they were read. */
  async read(offset: number): Promise<Uint8Array | undefined> {
    // The file ends where its capacity does.
    const bytes = await readAt(this.#file, {
      position: offset % this.#capacity,
      length: this.#end - offset,
    });
    return offset < this.start ? undefined : bytes;
  }

  /**
   * Where the text begins that is whole from an offset on: at a line, or at a character where lines are long. Undefined
   * if the bytes there were overwritten meanwhile.
   */
  async textStart(offset: number, near: number): Promise<number | undefined> {
    if (offset === 0) return 0;
    const bytes = await this.#beginning(offset);
    return bytes && offset + textStart(bytes, near);
  }

  /** What is behind the end of the file is at its beginning. */
  async #beginning(start: number): Promise<Uint8Array | undefined> {
    const first = await this.read(start);
    if (first === undefined) return undefined;
    const second = await this.read(start + first.length);
    return second && Buffer.concat([first, second]);
  }

  async close(): Promise<void> {
    await closeFile(this.#file);
  }
}
