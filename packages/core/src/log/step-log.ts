import type { LogSink } from '../backend/log-sink.ts';
import type { StepKey } from '../backend/names.ts';

/**
 * What one step printed. It is kept on disk, so that a reader may come at any time and be slow: no reader holds up the
 * step or another reader.
 *
 * A log has a limit. Of a step that prints more, the beginning and the end are kept, each half of the limit; a line
 * between them says how many bytes are left out. Cuts are made at the end of a line where there is one near.
 */
export interface StepLog {
  readonly key: StepKey;
  /**
   * The log as it stays: each reader gets the same bytes, from `from` on, whenever it comes, and then follows until the
   * step ends. So whoever was cut off after so many bytes goes on from there. What a step prints beyond half of the
   * limit comes when the step ends, since only then is it known what is kept.
   *
   * Each call is a reader of its own. It throws the signal's reason when it is aborted, and what the disk says where the
   * log cannot be read, or could not be kept.
   */
  follow(options?: FollowOptions): AsyncIterable<Uint8Array>;
  /**
   * What the step prints, while it prints it: every byte, for a reader that keeps up. One that is so slow that bytes are
   * gone before it reads them, or that comes so late, gets a line that says how many; then it goes on from the oldest
   * that are there. Of a step that has ended it is the same as {@link follow}.
   */
  watch(options?: Pick<FollowOptions, 'signal'>): AsyncIterable<Uint8Array>;
}

export interface FollowOptions {
  /** The offset in bytes of the first byte wanted. Default: 0. */
  readonly from?: number;
  readonly signal?: AbortSignal;
}

/** The writing side, while a step runs. Writes are done in the order of the calls, and wait for no reader. */
export interface LogWriter extends LogSink {
  readonly log: StepLog;
  /**
   * No more will come: readers end once they have read everything. It never rejects. Where the log cannot be finished,
   * its readers are told.
   */
  end(): Promise<void>;
}

/** The line in place of what was not kept. */
export function leftOut(count: number, { limit }: { readonly limit: number }): string {
  return `[... ${inGroups(count)} bytes left out: the log is limited to ${inGroups(limit)} bytes ...]\n`;
}

/** The line that stands there until it is known how much that is. It is longer, so there is room for the other one. */
export function unfinished(limit: number): string {
  const why = 'the builder was killed, or its disk was full, before the end of the log was saved';
  return `[... left out: the log is limited to ${inGroups(limit)} bytes, and ${why} ...]\n`;
}

function inGroups(count: number): string {
  return count.toLocaleString('en');
}
