import { setImmediate } from 'node:timers/promises';

/** So long may one build keep all others waiting. */
const TURN_MS = 10;

/**
 * For long work without pauses: what it gives is called often, and awaited, and lets the rest of the process go on every few
 * milliseconds.
 *
 * @throws The signal's reason, if it was aborted.
 */
export function pacer(signal: AbortSignal): () => Promise<void> | undefined {
  let start = performance.now();
  return () => {
    if (performance.now() - start < TURN_MS) return undefined;
    return setImmediate().then(() => {
      start = performance.now();
      signal.throwIfAborted();
    });
  };
}
