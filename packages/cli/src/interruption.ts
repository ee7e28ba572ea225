import { constants } from 'node:os';
import { killDescendants } from './descendants.ts';

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/** The wish of the user to stop. Disposing it gives the signals back to the system. */
export interface Interruption extends Disposable {
  /** Aborted at the first signal; its reason is the signal's name. */
  readonly signal: AbortSignal;
  /** 128 and the number of the signal, as shells have it; undefined if none came. */
  exitCode(): number | undefined;
  /** Stops as a signal does, for another reason and with another exit code. */
  stop(reason: string, exitCode: number): void;
}

/**
 * The first SIGINT, SIGTERM or SIGHUP aborts; the second kills all that was started, and ends the process.
 *
 * @param onFirst - Told at the first signal, so that the user can be.
 */
export function listenForInterruption(onFirst: (signal: NodeJS.Signals) => void): Interruption {
  const controller = new AbortController();
  let code: number | undefined;
  const listener = (name: NodeJS.Signals): void => {
    if (code !== undefined) {
      killDescendants();
      process.exit(128 + constants.signals[name]);
    }
    code = 128 + constants.signals[name];
    onFirst(name);
    controller.abort(name);
  };
  for (const name of SIGNALS) process.on(name, listener);
  return {
    signal: controller.signal,
    exitCode: () => code,
    stop(reason, exitCode) {
      code ??= exitCode;
      controller.abort(reason);
    },
    [Symbol.dispose]() {
      for (const name of SIGNALS) process.off(name, listener);
    },
  };
}
