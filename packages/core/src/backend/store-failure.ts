import { err, ok, type Result } from 'neverthrow';
import type { CommandFailed } from './command.ts';
import { isDiskFull, saysDiskFull } from './disk-full.ts';
import { type Cancelled, type Failed, failed, type NoSpace, type StoreError } from './failures.ts';

/** What the failure of a host command means to the builder. The texts are those of strerror(3) in the C locale. */
export function commandFailure(error: CommandFailed | Cancelled): NoSpace | Failed | Cancelled {
  if (error.type === 'cancelled') return error;
  return saysDiskFull(error.stderr)
    ? { type: 'no-space', message: error.message }
    : failed(error.message, error);
}

/**
 * The outcome of one file-system call of Node.
 *
 * @throws what `call` rejects with, unless the operating system said it.
 */
export async function attempt<T>(call: Promise<T>): Promise<Result<T, StoreError>> {
  try {
    return ok(await call);
  } catch (error) {
    return err(systemFailure(error));
  }
}

/** As {@link attempt}, but undefined where there is no such file. */
export async function attemptExisting<T>(call: Promise<T>): Promise<Result<T | undefined, StoreError>> {
  return attempt(
    call.catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw error;
    }),
  );
}

/** What a system call that failed means: the disk is full, or anything else. */
export function systemCallFailure(error: Error, message: string = error.message): NoSpace | Failed {
  return isDiskFull(error) ? { type: 'no-space', message } : failed(message, error);
}

function systemFailure(error: unknown): StoreError {
  if (!(error instanceof Error && 'syscall' in error && 'code' in error)) throw error;
  return systemCallFailure(error);
}
