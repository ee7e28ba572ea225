import { err, type Result } from 'neverthrow';
import { isDiskFull } from '../backend/disk-full.ts';
import { cancelled, type Failed, type NoSpace, type StoreError } from '../backend/failures.ts';
import type { FetchError } from '../backend/fetcher.ts';
import type { StepKey } from '../backend/names.ts';
import type { SandboxError } from '../backend/sandbox.ts';
import type { SourceError } from '../plan/source-error.ts';
import type { BaseImageError, BuildError, StepExit, StepOp } from './builder.ts';
import type { Engine } from './engine.ts';

type Tagged<T extends BuildError['type']> = Extract<BuildError, { readonly type: T }>;

export function fromStore(error: StoreError): Tagged<'store' | 'cancelled'> {
  return error.type === 'cancelled' ? error : { type: 'store', error, message: error.message };
}

export function fromSandbox(error: SandboxError): Tagged<'sandbox' | 'cancelled'> {
  return error.type === 'cancelled' ? error : { type: 'sandbox', error, message: error.message };
}

export function fromFetcher(error: FetchError): Tagged<'fetch' | 'cancelled'> {
  return error.type === 'cancelled' ? error : { type: 'fetch', error, message: error.message };
}

/** @param place - Where the files are, for people. */
export function fromSource({ path, message }: SourceError, place: string): BuildError {
  return { type: 'invalid-context', path, message: `${message} (copying from ${place})` };
}

/**
 * What a system call or SQLite threw, which is about the files of the builder itself: stores, sandboxes and fetchers
 * throw nothing. An abort that was thrown is `cancelled`; a bug is thrown on.
 */
export async function catchThrown<T, E>(
  { stateDir }: Pick<Engine, 'stateDir'>,
  signal: AbortSignal,
  work: () => Promise<Result<T, E>>,
): Promise<Result<T, E | Tagged<'store' | 'cancelled'>>> {
  try {
    return await work();
  } catch (error) {
    if (signal.aborted) return err(cancelled(signal));
    const failure = fromThrown(error, `the disk of ${stateDir}`);
    if (failure === undefined) throw error;
    return err(failure);
  }
}

/**
 * What a system call or SQLite threw; undefined for anything else, which is a bug.
 *
 * @param disk - Names what is full, if something is.
 */
export function fromThrown(error: unknown, disk: string): Tagged<'store' | 'cancelled'> | undefined {
  const failure = machineFailure(error);
  if (failure?.type !== 'no-space') return failure && fromStore(failure);
  return fromStore({ type: 'no-space', message: `${disk} is full: ${failure.message}` });
}

export function isNoSpace(error: BuildError | BaseImageError): boolean {
  return 'error' in error && error.error.type === 'no-space';
}

/** The failure that a system call or SQLite threw; undefined for anything else, which is a bug. */
export function machineFailure(error: unknown): NoSpace | Failed | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  const isSqlite = error.code === 'ERR_SQLITE_ERROR' && 'errcode' in error;
  if (!isSqlite && !('syscall' in error)) return undefined;
  const { message } = error;
  // 13 is SQLITE_FULL.
  const isFull = isDiskFull(error) || (isSqlite && error.errcode === 13);
  return isFull ? { type: 'no-space', message } : { type: 'failed', message, cause: error };
}

/** The error of a snapshot that the index knows and the store does not have: the build starts again without it. */
export function lost(key: StepKey, why: string): BuildError & { readonly type: 'store' } {
  const message = `the snapshot ${key} is gone: ${why}`;
  return { type: 'store', error: { type: 'not-found', key, message }, message };
}

export function describeExit(exit: StepExit): string {
  switch (exit.type) {
    case 'exited':
      return `exited with ${exit.code}`;
    case 'signalled':
      return `was killed by ${exit.signal}`;
    case 'limit-exceeded':
      return `exceeded its limit of ${{ memoryBytes: 'memory', cpus: 'processors', pids: 'processes', timeoutMs: 'time', silenceMs: 'silence', diskBytes: 'disk' }[exit.limit]}`;
  }
}

/** Another build's run failed for a reason that need not hold for those who joined it. */
export function isOwnersFault(error: BuildError, op: StepOp): boolean {
  if (error.type === 'invalid-context') return true;
  if (error.type === 'fetch' && error.error.type === 'not-held') return true;
  const hasSecrets = op.op === 'run' && op.secrets.length > 0;
  return error.type === 'step-failed' && (hasSecrets || error.exit.type === 'limit-exceeded');
}
