import type { Result } from 'neverthrow';
import type { Outcome } from '../../backend/failures.ts';
import type { LogSink } from '../../backend/log-sink.ts';
import type { SandboxError } from '../../backend/sandbox.ts';
import { keeps } from '../promise.ts';
import { sandboxPromises as promises } from './promises.ts';

const TAGS: readonly string[] = [
  'no-space',
  'failed',
  'stuck',
  'cancelled',
] satisfies readonly SandboxError['type'][];

/**
 * The `Result` of a call.
 *
 * @param mayReject - Whether the call may reject with this reason.
 */
export async function settled<T>(
  outcome: Outcome<T, SandboxError>,
  mayReject: (reason: unknown) => boolean = () => false,
): Promise<Result<T, SandboxError>> {
  const result = await outcome.then(
    (answer) => answer,
    (reason: unknown) => {
      keeps(promises.outcomes, mayReject(reason), reason);
      throw reason;
    },
  );
  keeps(promises.outcomes, result.isOk() || TAGS.includes(result.error.type), result);
  return result;
}

/** A log that remembers with what it rejected. */
export class WatchedLog implements LogSink {
  readonly #log: LogSink;
  readonly #reasons = new Set<unknown>();

  constructor(log: LogSink) {
    this.#log = log;
  }

  async write(chunk: Uint8Array | string): Promise<void> {
    try {
      await this.#log.write(chunk);
    } catch (reason) {
      this.#reasons.add(reason);
      throw reason;
    }
  }

  hasRejectedWith(reason: unknown): boolean {
    return this.#reasons.has(reason);
  }
}
