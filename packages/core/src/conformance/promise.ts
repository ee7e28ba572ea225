import assert from 'node:assert/strict';
import { inspect, isDeepStrictEqual } from 'node:util';
import type { FetcherPromise } from './fetcher/promises.ts';
import type { SandboxPromise } from './sandbox/promises.ts';
import type { StorePromise } from './store/promises.ts';

/** Each has a mutant that breaks it. */
export type SuitePromise = StorePromise | SandboxPromise | FetcherPromise;

/** Fails the test with the sentence of the interface that does not hold. */
export function keeps(promise: SuitePromise, holds: boolean, seen?: unknown): asserts holds {
  if (holds) return;
  assert.fail(`broken promise: ${promise}${seen === undefined ? '' : `\nseen: ${show(seen)}`}`);
}

/** Fails the test with the sentence, what was expected and what was seen. */
export function keepsEqual(promise: SuitePromise, actual: unknown, expected: unknown): void {
  if (isDeepStrictEqual(actual, expected)) return;
  assert.fail(`broken promise: ${promise}\nexpected: ${show(expected)}\nseen: ${show(actual)}`);
}

/** Fails the test unless `actual` is the failure of a call that was stopped for this reason; its message is its own. */
export function keepsCancelled(promise: SuitePromise, actual: unknown, reason: unknown): void {
  const seen = typeof actual === 'object' && actual !== null ? actual : {};
  const { message, ...rest } = seen as { readonly message?: unknown };
  keepsEqual(promise, rest, { type: 'cancelled', reason });
  keepsEqual(promise, typeof message, 'string');
}

/** What was seen, in a length that a person reads. */
export function show(value: unknown): string {
  return inspect(value, { depth: 6, maxStringLength: 2000, breakLength: 110 });
}
