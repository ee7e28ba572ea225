import type { Result, ResultAsync } from 'neverthrow';
import type { StepKey } from './names.ts';

/**
 * What a backend method gives back: the success, or a failure that the caller is expected to handle.
 *
 * An `async` method that returns a `Result` fits, and so does one that returns a `ResultAsync`.
 * A rejected promise is never such a failure: it is a bug, and it passes through untouched.
 */
export type Outcome<T, E> = Promise<Result<T, E>> | ResultAsync<T, E>;

/** The caller asked to stop. `reason` is the abort signal's reason. */
export interface Cancelled {
  readonly type: 'cancelled';
  readonly reason: unknown;
  readonly message: string;
}

/** Anything without a tag of its own. The message names the command or path and what was said about it. */
export interface Failed {
  readonly type: 'failed';
  readonly message: string;
  readonly cause?: unknown;
}

/** The disk is full. The builder makes room, then tries once more. */
export interface NoSpace {
  readonly type: 'no-space';
  readonly message: string;
}

/** Teardown did not end within its bound. Nothing more is launched at what is stuck. */
export interface Stuck {
  readonly type: 'stuck';
  readonly message: string;
  readonly needsReboot: boolean;
}

/** Something still uses it, or another process owns the directory. Trying later may succeed. */
export interface Busy {
  readonly type: 'busy';
  readonly message: string;
}

/** There is one member for each thing a caller can do about a failure, and no more. */
export type StoreError =
  /** The snapshot named as the parent is gone. The builder builds it again. */
  | { readonly type: 'not-found'; readonly key: StepKey; readonly message: string }
  | NoSpace
  | Busy
  | Stuck
  | Failed
  | Cancelled;

export function cancelled({ reason }: Pick<AbortSignal, 'reason'>): Cancelled {
  const why = reason instanceof Error ? reason.message : String(reason);
  return { type: 'cancelled', reason, message: `cancelled: ${why}` };
}

export function failed(message: string, cause?: unknown): Failed {
  return cause === undefined ? { type: 'failed', message } : { type: 'failed', message, cause };
}

/**
 * The value of a success; a failure is thrown as an `Error` that has the failure as its `cause`.
 * For scripts, and wherever a failure means that the program is wrong.
 */
export function orThrow<T, E extends { readonly type?: string; readonly message?: string }>(
  result: Result<T, E>,
): T {
  if (result.isOk()) return result.value;
  const { message, type } = result.error;
  throw new Error(message ?? type, { cause: result.error });
}
