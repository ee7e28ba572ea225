import assert from 'node:assert/strict';
import type { Result } from 'neverthrow';
import type { RunRequest } from '../../backend/sandbox.ts';
import { sandboxPromises } from './promises.ts';

/** Aborts a command that does not end, and gives up where that does not end it either. */
export class Patience implements Disposable {
  readonly signal: AbortSignal;
  /** Rejects, or stays as it is. */
  readonly exhausted: Promise<never>;
  readonly #late = new AbortController();
  readonly #timers: readonly NodeJS.Timeout[];

  constructor(milliseconds: number, { argv, signal }: RunRequest) {
    this.signal = AbortSignal.any([signal, this.#late.signal]);
    const over = Promise.withResolvers<void>();
    this.exhausted = over.promise.then(() =>
      assert.fail(`broken promise: ${sandboxPromises.settles}\nof: ${argv.at(-1)}`),
    );
    const reason = new Error(`it was still running after ${milliseconds} ms`);
    this.#timers = [
      setTimeout(() => this.#late.abort(reason), milliseconds),
      setTimeout(over.resolve, 2 * milliseconds),
    ];
  }

  /** Whether a command ended only because patience did. */
  isLate(result: Result<unknown, { readonly type: string; readonly reason?: unknown }>): boolean {
    return result.isErr() && this.#late.signal.aborted && result.error.reason === this.#late.signal.reason;
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
  }
}
