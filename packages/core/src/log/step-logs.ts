import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from 'neverthrow';
import { failed, type StoreError } from '../backend/failures.ts';
import { type HostPath, isStepKey, type StepKey } from '../backend/names.ts';
import { attemptExisting } from '../backend/store-failure.ts';
import { readEnded } from './ended-log.ts';
import { LiveLog } from './live-log.ts';
import { removeFile } from './log-file.ts';
import type { LogWriter, StepLog } from './step-log.ts';

export interface StepLogsOptions {
  /** Told of each log that is finished, and how many bytes it has. */
  readonly onEnded?: (key: StepKey, bytes: number) => void;
}

/** A file in the directory of logs. */
export interface LogFile {
  readonly path: string;
  readonly key: StepKey;
  readonly bytes: number;
  /** When it was written last, as `Date.now` tells. */
  readonly writtenAt: number;
}

/** The log files of all steps: `<directory>/ab/<key>.log`, a failed step's until it runs again or is swept. */
export class StepLogs {
  readonly #directory: HostPath;
  readonly #onEnded: StepLogsOptions['onEnded'];
  readonly #live = new Map<StepKey, LiveLog>();

  constructor(directory: HostPath, options: StepLogsOptions = {}) {
    this.#directory = directory;
    this.#onEnded = options.onEnded;
  }

  /**
   * Starts a step's log, in place of that of an earlier attempt.
   *
   * @param options.limit - How much of it is kept, in bytes; a line in place of the rest comes on top.
   */
  begin(key: StepKey, { limit }: { readonly limit: number }): LogWriter {
    const log = new LiveLog({
      key,
      path: this.#path(key),
      limit,
      isNewest: () => this.#live.get(key) === log,
      onEnd: (bytes) => {
        if (this.#live.get(key) === log) this.#live.delete(key);
        this.#onEnded?.(key, bytes);
      },
    });
    this.#live.set(key, log);
    return log;
  }

  /** The log of a step that runs, or of one that has ended; undefined if there is no file. */
  async find(key: StepKey): Promise<Result<StepLog | undefined, StoreError>> {
    const live = this.#live.get(key);
    if (live) return ok(live.log);
    const path = this.#path(key);
    const found = await attemptExisting(stat(path));
    if (found.isErr()) return err(found.error);
    if (found.value === undefined) return ok(undefined);
    if (!found.value.isFile()) return err(failed(`the log ${path} is not a file`));
    return ok({
      key,
      follow: (options) => readEnded(path, options),
      watch: (options) => readEnded(path, options),
    });
  }

  /** Never fails: a log that stays is swept later. That of a step that runs stays. */
  remove(key: StepKey): void {
    this.removeFile({ key, path: this.#path(key) });
  }

  /** As {@link remove}. */
  removeFile({ key, path }: Pick<LogFile, 'key' | 'path'>): void {
    if (!this.#live.has(key)) removeFile(path);
  }

  /** All that is there, in no order; what cannot be looked at is left out. */
  async *files(): AsyncGenerator<LogFile> {
    for (const group of await readdir(this.#directory).catch(() => [])) {
      const directory = join(this.#directory, group);
      const names = await readdir(directory).catch(() => []);
      const files = await Promise.all(names.map((name) => fileAt(directory, name)));
      yield* files.filter((file) => file !== undefined);
    }
  }

  #path(key: StepKey): string {
    return join(this.#directory, key.slice(0, 2), `${key}.log`);
  }
}

async function fileAt(directory: string, name: string): Promise<LogFile | undefined> {
  const [key = ''] = name.split('.');
  if (!isStepKey(key)) return undefined;
  const path = join(directory, name);
  const found = await stat(path).catch(() => undefined);
  return found?.isFile() ? { path, key, bytes: found.size, writtenAt: found.mtimeMs } : undefined;
}
