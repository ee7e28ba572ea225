import { once, setMaxListeners } from 'node:events';
import { mkdirSync } from 'node:fs';
import { type FileHandle, open, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { LogSink } from '../backend/log-sink.ts';
import type { HostPath, StepKey } from '../backend/names.ts';

const CHUNK = 64 * 1024;

/**
 * What one step printed. It is kept on disk, so that a reader may come at any time and be slow:
 * each reader gets every byte from `from` on, then follows until the step ends.
 */
export interface StepLog {
  readonly key: StepKey;
  /**
   * Each call is a reader of its own. Aborting makes it throw the signal's reason.
   *
   * @param options.from - The offset in bytes of the first byte wanted. Default: 0.
   */
  follow(options?: FollowOptions): AsyncIterable<Uint8Array>;
}

export interface FollowOptions {
  readonly from?: number;
  readonly signal?: AbortSignal;
}

/** The writing side, while a step runs. Writes are done in the order of the calls. */
export interface LogWriter extends LogSink {
  readonly log: StepLog;
  /** No more will come: readers end once they have read everything. */
  end(): Promise<void>;
}

/** The log files of all steps: `<directory>/ab/<key>.log`, a failed step's until it runs again. */
export class StepLogs {
  readonly #directory: HostPath;
  readonly #live = new Map<StepKey, LiveLog>();

  constructor(directory: HostPath) {
    this.#directory = directory;
  }

  /** Starts a step's log, in place of that of an earlier attempt. */
  begin(key: StepKey): LogWriter {
    const log = new LiveLog(key, this.#path(key), () => {
      if (this.#live.get(key) === log) this.#live.delete(key);
    });
    this.#live.set(key, log);
    return log;
  }

  /** The log of a step that runs, or of one that has ended; undefined if there is no file. */
  async find(key: StepKey): Promise<StepLog | undefined> {
    const live = this.#live.get(key);
    if (live) return live.log;
    const path = this.#path(key);
    const file = await open(path).catch(ignoreMissing);
    if (file === undefined) return undefined;
    await file.close();
    return { key, follow: (options) => readEnded(path, options) };
  }

  async remove(key: StepKey): Promise<void> {
    await rm(this.#path(key), { force: true });
  }

  #path(key: StepKey): string {
    return join(this.#directory, key.slice(0, 2), `${key}.log`);
  }
}

/**
 * A log that is being written. Readers share its file handle, which stays open until the last of them is
 * done, so a reader that came in time gets every byte, whatever happens to the file's name afterwards.
 */
class LiveLog implements LogWriter {
  readonly log: StepLog;
  readonly #file: Promise<FileHandle>;
  readonly #path: string;
  readonly #onEnd: () => void;
  readonly #changes = new EventTarget();
  #length = 0;
  #ended = false;
  #closed = false;
  #readers = 0;
  #writes: Promise<void> = Promise.resolve();

  constructor(key: StepKey, path: string, onEnd: () => void) {
    this.#path = path;
    this.#onEnd = onEnd;
    this.#file = createAnew(path);
    this.#file.catch(() => {}); // The first write reports it.
    setMaxListeners(0, this.#changes); // One for each reader that waits.
    this.log = { key, follow: (options) => this.#follow(options) };
  }

  write(chunk: Uint8Array | string): Promise<void> {
    const bytes = typeof chunk === 'string' ? new TextEncoder().encode(chunk) : chunk;
    const written = this.#writes.then(() => this.#append(bytes));
    this.#writes = written.catch(() => {});
    return written;
  }

  async end(): Promise<void> {
    await this.#writes;
    this.#ended = true;
    this.#onEnd();
    this.#changes.dispatchEvent(new Event('change'));
    await this.#closeIfDone();
  }

  async #append(bytes: Uint8Array): Promise<void> {
    if (this.#ended) throw new Error(`${this.#path}: written after its end`);
    const file = await this.#file;
    for (let done = 0; done < bytes.length; ) {
      const { bytesWritten } = await file.write(bytes, done, bytes.length - done, this.#length);
      done += bytesWritten;
      this.#length += bytesWritten;
    }
    this.#changes.dispatchEvent(new Event('change'));
  }

  async *#follow(options: FollowOptions = {}): AsyncGenerator<Uint8Array> {
    if (this.#closed) return yield* readEnded(this.#path, options);
    this.#readers += 1;
    try {
      const file = await this.#file;
      for (let position = options.from ?? 0; ; ) {
        options.signal?.throwIfAborted();
        if (position < this.#length) {
          const chunk = await readAt(file, position, Math.min(CHUNK, this.#length - position));
          position += chunk.length;
          yield chunk;
        } else if (this.#ended) {
          return;
        } else {
          await once(this.#changes, 'change', options.signal ? { signal: options.signal } : {}).catch(
            () => {},
          );
        }
      }
    } finally {
      this.#readers -= 1;
      await this.#closeIfDone();
    }
  }

  async #closeIfDone(): Promise<void> {
    if (!this.#ended || this.#readers > 0 || this.#closed) return;
    this.#closed = true;
    await (await this.#file).close();
  }
}

async function createAnew(path: string): Promise<FileHandle> {
  mkdirSync(dirname(path), { recursive: true });
  // Readers of an earlier attempt keep its bytes: the old file loses its name, not its content.
  await rm(path, { force: true });
  return open(path, 'wx+', 0o600);
}

async function* readEnded(path: string, options: FollowOptions = {}): AsyncGenerator<Uint8Array> {
  const file = await open(path).catch(ignoreMissing);
  if (file === undefined) return;
  try {
    for (let position = options.from ?? 0; ; ) {
      options.signal?.throwIfAborted();
      const chunk = await readAt(file, position, CHUNK);
      if (chunk.length === 0) return;
      position += chunk.length;
      yield chunk;
    }
  } finally {
    await file.close();
  }
}

async function readAt(file: FileHandle, position: number, length: number): Promise<Uint8Array> {
  const buffer = Buffer.allocUnsafeSlow(length);
  const { bytesRead } = await file.read(buffer, 0, length, position);
  return buffer.subarray(0, bytesRead);
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code === 'ENOENT') return undefined;
  throw error;
}
