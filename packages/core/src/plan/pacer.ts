// Tests of embedders fake the global one.
import { setImmediate } from 'node:timers';

/** So long may one build keep all others waiting. */
const TURN_MS = 10;

const waiting: (() => void)[] = [];

/**
 * For long work without pauses: what it gives is called often, and awaited. Every few milliseconds the rest of the process
 * goes on; of all that work so, one has its turn at a time.
 *
 * @throws The signal's reason, if it was aborted.
 */
export function pacer(signal: AbortSignal): () => Promise<void> | undefined {
  // Many who begin at once would have a turn each before anybody else.
  let start = Number.NEGATIVE_INFINITY;
  return () => {
    if (performance.now() - start < TURN_MS) return undefined;
    return takeTurn().then(() => {
      start = performance.now();
      signal.throwIfAborted();
    });
  };
}

/** Settles when the process has looked after everything else, and after all who asked before. */
export function takeTurn(): Promise<void> {
  return new Promise((resolve) => {
    waiting.push(resolve);
    if (waiting.length === 1) setImmediate(next);
  });
}

/** Immediates that are due together run one after the other, with nothing between them. */
function next(): void {
  waiting.shift()?.();
  if (waiting.length > 0) setImmediate(next);
}
