import type { StoreError } from '../backend/failures.ts';
import type { FetchError } from '../backend/fetcher.ts';
import type { Exit, SandboxError } from '../backend/sandbox.ts';
import type { SourceError } from '../plan/source-walk.ts';
import type { BuildError } from './builder.ts';

export function fromStore(error: StoreError): BuildError {
  return error.type === 'cancelled' ? error : { type: 'store', error, message: error.message };
}

export function fromSandbox(error: SandboxError): BuildError {
  return error.type === 'cancelled' ? error : { type: 'sandbox', error, message: error.message };
}

export function fromFetcher(error: FetchError): BuildError {
  return error.type === 'cancelled' ? error : { type: 'fetch', error, message: error.message };
}

/** @param place - Where the files are, for people. */
export function fromSource({ path, message }: SourceError, place: string): BuildError {
  return { type: 'invalid-context', path, message: `${message} (copying from ${place})` };
}

/** What a system call threw while a step was made; undefined for anything else, which is a bug. */
export function fromThrown(error: unknown): BuildError | undefined {
  if (!(error instanceof Error) || !('syscall' in error) || !('code' in error)) return undefined;
  const { message } = error;
  const isFull = error.code === 'ENOSPC' || error.code === 'EDQUOT';
  return fromStore(isFull ? { type: 'no-space', message } : { type: 'failed', message, cause: error });
}

export function describeExit(exit: Exit): string {
  switch (exit.type) {
    case 'exited':
      return `exited with ${exit.code}`;
    case 'signalled':
      return `was killed by ${exit.signal}`;
    case 'limit-exceeded':
      return `exceeded its limit of ${{ memoryBytes: 'memory', cpus: 'processors', pids: 'processes', timeoutMs: 'time', silenceMs: 'silence' }[exit.limit]}`;
  }
}

/** Another build's run failed for a reason that need not hold for those who joined it. */
export function isOwnersFault(error: BuildError): boolean {
  return (
    error.type === 'invalid-context' || (error.type === 'step-failed' && error.exit.type === 'limit-exceeded')
  );
}
