import { once, setMaxListeners } from 'node:events';
import type { FileHandle } from 'node:fs/promises';
import createDebug from 'debug';
import type { StepKey } from '../backend/names.ts';
import { readEnded } from './ended-log.ts';
import { closeFile, createFile, readAt, removeFile, writeAt } from './log-file.ts';
import { LogTail } from './log-tail.ts';
import { type FollowOptions, type LogWriter, leftOut, type StepLog, unfinished } from './step-log.ts';
import { NEWLINE, nearOf, textEnd } from './text-cuts.ts';

const debug: createDebug.Debugger = createDebug('snapstep:log');

export interface LiveLogOptions {
  readonly key: StepKey;
  readonly path: string;
  /** How much of what the step prints is kept, in bytes. */
  readonly limit: number;
  /** Whether this attempt is the newest of its step, whose log has the step's name. */
  readonly isNewest: () => boolean;
  readonly onEnd: (bytes: number) => void;
}

/**
 * A log that is being written: a file for its beginning, and beyond half of the limit another one, without a name, for
 * its end. When the step has ended, the second is put behind the first.
 *
 * Files are made when something is to be written, so a step that waits for its turn needs none. Readers share them; they
 * stay open until the last reader is done, so one that came in time gets every byte, whatever happens to the file's name.
 */
export class LiveLog implements LogWriter {
  readonly log: StepLog;
  readonly #options: LiveLogOptions;
  readonly #headLimit: number;
  readonly #near: number;
  readonly #changes = new EventTarget();
  #file: FileHandle | undefined;
  #tail: LogTail | undefined;
  /** How many bytes of the file are the log. */
  #length = 0;
  /** Where the beginning ends, once there is a tail. */
  #headLength = 0;
  #lastByte = NEWLINE;
  /** What kept the log from being finished. */
  #failure: unknown;
  #isEnded = false;
  #isClosed = false;
  #readers = 0;
  #writes: Promise<void> = Promise.resolve();
  #end: Promise<void> | undefined;

  constructor(options: LiveLogOptions) {
    this.#options = options;
    this.#headLimit = Math.floor(options.limit / 2);
    this.#near = nearOf(options.limit);
    setMaxListeners(0, this.#changes); // One for each reader that waits.
    this.log = {
      key: options.key,
      follow: (how) => this.#read((signal) => this.#follow(how?.from ?? 0, signal), how),
      watch: (how) => this.#read((signal) => this.#watch(signal), how),
    };
  }

  write(chunk: Uint8Array | string): Promise<void> {
    const bytes = typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
    const written = this.#writes.then(() => this.#append(bytes));
    this.#writes = written.catch(() => {});
    return written;
  }

  /** It takes its turn after the writes that were asked for; those that are asked for later are refused. */
  end(): Promise<void> {
    this.#end ??= this.#writes = this.#writes.then(() => this.#finish());
    return this.#end;
  }

  async #append(bytes: Uint8Array): Promise<void> {
    if (this.#isEnded) throw new Error(`${this.#options.path}: written after its end`);
    try {
      const rest = this.#tail ? bytes : await this.#appendHead(bytes);
      if (rest.length > 0) await (await this.#openTail()).write(rest);
    } catch (error) {
      throw unwritable(this.#options.path, error);
    } finally {
      this.#changes.dispatchEvent(new Event('change'));
    }
  }

  /** @returns What is for the tail. */
  async #appendHead(bytes: Uint8Array): Promise<Uint8Array> {
    const fitting = bytes.subarray(0, this.#headLimit - this.#headLength);
    const head = fitting.length === bytes.length ? bytes : fitting.subarray(0, this.#textEnd(fitting));
    await this.#extend(head, (count) => {
      this.#headLength += count;
    });
    return bytes.subarray(head.length);
  }

  #textEnd(fitting: Uint8Array): number {
    return textEnd(fitting, { near: this.#near, isAfterLine: this.#lastByte === NEWLINE });
  }

  async #extend(bytes: Uint8Array, onWritten?: (count: number) => void): Promise<void> {
    await writeAt(await this.#openHead(), bytes, {
      position: this.#length,
      onWritten: (count) => {
        this.#length += count;
        onWritten?.(count);
      },
    });
    this.#lastByte = bytes.at(-1) ?? this.#lastByte;
  }

  async #openHead(): Promise<FileHandle> {
    this.#file ??= await createFile(this.#options.path, { isNamed: this.#options.isNewest });
    return this.#file;
  }

  async #openTail(): Promise<LogTail> {
    if (this.#tail) return this.#tail;
    const { path, limit } = this.#options;
    // Beyond the length, so no reader gets it; but it is there if the log is never finished.
    const note = lineAfter(this.#lastByte, unfinished(limit));
    await writeAt(await this.#openHead(), note, { position: this.#length });
    const file = await createFile(`${path}.tail`, { isNamed: () => false });
    this.#tail = new LogTail({ file, capacity: limit - this.#headLength });
    return this.#tail;
  }

  async #finish(): Promise<void> {
    try {
      await this.#extend(new Uint8Array());
      if (this.#tail) await this.#join(this.#tail);
    } catch (error) {
      this.#failure = unwritable(this.#options.path, error);
      debug('%o', this.#failure);
      // What an earlier attempt printed must not pass for the log of this one.
      if (this.#file === undefined && this.#options.isNewest()) removeFile(this.#options.path);
    }
    this.#isEnded = true;
    // Readers wait for this, whatever becomes of the rest.
    this.#changes.dispatchEvent(new Event('change'));
    try {
      this.#options.onEnd(this.#length);
    } catch (error) {
      debug('%s: its end is not noted: %o', this.#options.path, error);
    }
    await this.#closeIfDone();
  }

  /** Puts the tail behind the beginning, and between them a line in place of what is missing. */
  async #join(tail: LogTail): Promise<void> {
    const start = (await tail.textStart(tail.start, this.#near)) ?? tail.start;
    try {
      if (start > 0) await this.#extend(this.#gap(start, this.#lastByte));
      for (let offset = start; offset < tail.end; ) {
        const chunk = await tail.read(offset);
        if (chunk === undefined) throw new Error(`${this.#options.path}: written while it was ended`);
        await this.#extend(chunk);
        offset += chunk.length;
      }
    } finally {
      if (this.#length > this.#headLength) await this.#file?.truncate(this.#length);
    }
  }

  /** A line of its own. */
  #gap(count: number, lastByte: number): Uint8Array {
    return lineAfter(lastByte, leftOut(count, { limit: this.#options.limit }));
  }

  async *#read(
    chunks: (signal: AbortSignal | undefined) => AsyncGenerator<Uint8Array>,
    options: FollowOptions = {},
  ): AsyncGenerator<Uint8Array> {
    if (this.#isClosed) return yield* readEnded(this.#options.path, options);
    this.#readers += 1;
    try {
      yield* chunks(options.signal);
      if (this.#failure !== undefined) throw this.#failure;
    } finally {
      this.#readers -= 1;
      await this.#closeIfDone();
    }
  }

  async *#follow(from: number, signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    for (let position = from; ; ) {
      signal?.throwIfAborted();
      if (position < this.#length) {
        const chunk = await this.#chunk(position, this.#length);
        position += chunk.length;
        yield chunk;
      } else if (this.#isEnded) {
        return;
      } else {
        await this.#change(signal);
      }
    }
  }

  /** Positions count all that the step printed. */
  async *#watch(signal: AbortSignal | undefined): AsyncGenerator<Uint8Array> {
    let lastByte = NEWLINE;
    for (let position = 0; ; ) {
      signal?.throwIfAborted();
      if (position < this.#headLength + (this.#tail?.end ?? 0)) {
        const next = await this.#next(position, lastByte);
        if (next === undefined) continue;
        position = next.end;
        lastByte = next.chunk.at(-1) ?? lastByte;
        yield next.chunk;
      } else if (this.#isEnded) {
        return;
      } else {
        await this.#change(signal);
      }
    }
  }

  /** What a watcher gets next, and where it is then; undefined if that was overwritten before it was read. */
  async #next(position: number, lastByte: number): Promise<Watched | undefined> {
    const [tail, offset] = [this.#tail, position - this.#headLength];
    const chunk =
      offset < 0 || !tail ? await this.#chunk(position, this.#headLength) : await tail.read(offset);
    if (chunk) return { chunk, end: position + chunk.length };
    const start = await tail?.textStart(this.#resumeAt(tail), this.#near);
    if (start === undefined) return undefined;
    return { chunk: this.#gap(start - offset, lastByte), end: this.#headLength + start };
  }

  /** Who was overtaken once would be overtaken again at once if it went on from the oldest byte. */
  #resumeAt({ start, end }: LogTail): number {
    return this.#isEnded ? start : start + Math.floor((end - start) / 2);
  }

  async #chunk(position: number, end: number): Promise<Uint8Array> {
    const { path } = this.#options;
    if (this.#file === undefined) throw new Error(`${path}: there is a length and no file`);
    const chunk = await readAt(this.#file, { position, length: end - position });
    if (chunk.length === 0) throw new Error(`${path} was cut off by another program`);
    return chunk;
  }

  async #change(signal: AbortSignal | undefined): Promise<void> {
    await once(this.#changes, 'change', signal ? { signal } : {}).catch(() => {});
  }

  async #closeIfDone(): Promise<void> {
    if (!this.#isEnded || this.#readers > 0 || this.#isClosed) return;
    this.#isClosed = true;
    if (this.#file) await closeFile(this.#file);
    await this.#tail?.close();
  }
}

interface Watched {
  readonly chunk: Uint8Array;
  readonly end: number;
}

function lineAfter(lastByte: number, line: string): Uint8Array {
  return new TextEncoder().encode(lastByte === NEWLINE ? line : `\n${line}`);
}

/** What the system said, with the file that it speaks of: errors of open files do not name them. */
function unwritable(path: string, error: unknown): unknown {
  if (!(error instanceof Error && 'syscall' in error)) return error;
  const { message, code, errno, syscall } = error as NodeJS.ErrnoException;
  const named = new Error(`the log ${path} cannot be written: ${message}`, { cause: error });
  return Object.assign(named, { code, errno, syscall });
}
