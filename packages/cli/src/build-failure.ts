import type { BuildError, FetchError, StepKey, StoreError } from '@snapstep/core';
import { placeInSpec, titleOf } from '@snapstep/core';
import { EXIT, type Failure, machineFailure, usageFailure } from './failure.ts';
import { sanitizeLine } from './progress/sanitize.ts';
import { type SpecSource, specFailure } from './spec-source.ts';

export interface BuildFailureOptions {
  readonly source: Pick<SpecSource, 'file' | 'text'>;
  readonly tailOf: (key: StepKey) => readonly string[];
}

/** What to tell the user of a build that failed, and how to exit. */
export function buildFailure(error: BuildError, options: BuildFailureOptions): Failure {
  switch (error.type) {
    case 'invalid-spec':
      return specFailure(error, options.source);
    case 'refused-network':
      return specFailure({ ...error, ...placeInSpec(options.source.text, error.path) }, options.source);
    case 'invalid-context':
    case 'missing-secret':
    case 'unenforceable-limit':
      return usageFailure(error.message);
    case 'step-failed':
      return stepFailure(error, options.tailOf(error.key));
    case 'store':
    case 'sandbox':
      return machineFailure(error.message);
    case 'fetch':
      return fetchFailure(error.error);
    case 'cancelled':
      return cancelledFailure(error.reason);
  }
}

/** What to tell the user of a store, its index or its logs. */
export function storeFailure(error: StoreError): Failure {
  if (error.type === 'cancelled') return cancelledFailure(error.reason);
  // A key that is not there was named by the user; the machine did nothing wrong.
  return error.type === 'not-found' ? usageFailure(error.message) : machineFailure(error.message);
}

/** What to tell the user of a store, a sandbox or a builder that cannot be opened. */
export function openFailure(error: StoreError): Failure {
  if (error.type !== 'busy') return storeFailure(error);
  return machineFailure(
    `${error.message}: wait until that has ended, or name another --store, which has its own directories`,
  );
}

/** The builder was stopped; whoever stopped it knows the exit code. */
function cancelledFailure(reason: unknown): Failure {
  return machineFailure(`stopped: ${reason instanceof Error ? reason.message : reason}`);
}

function fetchFailure(error: Exclude<FetchError, { type: 'cancelled' }>): Failure {
  if (error.type === 'not-held')
    return usageFailure(`${error.message}: leave out --offline, or give it an --image`);
  return error.type === 'image-not-found' ? usageFailure(error.message) : machineFailure(error.message);
}

function stepFailure(error: Extract<BuildError, { type: 'step-failed' }>, tail: readonly string[]): Failure {
  const log = tail.length === 0 ? [] : [`the last ${tail.length} lines of its log:`, ...tail.map(quoted)];
  const lines = [
    `stage "${error.stage}": ${error.message}`,
    `  ${sanitizeLine(titleOf(error.op))}`,
    ...log,
    `key ${error.key}`,
    `the whole log: snapstep log ${error.key}`,
  ];
  return { exitCode: EXIT.stepFailed, message: lines.join('\n') };
}

function quoted(line: string): string {
  return `  | ${line}`.trimEnd();
}
