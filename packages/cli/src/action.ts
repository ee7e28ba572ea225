import { setImmediate } from 'node:timers/promises';
import type { Result } from '@snapstep/core';
import { EXIT, type Failure, machineFailure } from './failure.ts';
import { type Interruption, listenForInterruption } from './interruption.ts';
import { watchOutput, writeErr } from './output.ts';

/** The body of a command. */
export type Work = (signal: AbortSignal) => Promise<Result<void, Failure>>;

export interface ActionOptions {
  /** Tells the user why the command failed. Default: `snapstep: ` and the message, on standard error. */
  readonly report?: (failure: Failure) => void | Promise<void>;
  /** Tells the user that the command is stopping. Default: a line on standard error. */
  readonly announce?: (text: string) => void;
}

const STOPPING = 'stopping cleanly; once more kills at once';

/**
 * Runs the body of a command, from its first signal handler to its exit code.
 *
 * An expected failure is reported as a sentence; what is thrown is a bug, and is called so.
 */
export async function perform(work: Work, options: ActionOptions = {}): Promise<void> {
  const announce = options.announce ?? ((text) => void writeErr(`snapstep: ${text}\n`));
  using interruption = listenForInterruption((signal) => announce(`${signal}: ${STOPPING}`));
  watchOutput((error) => stopWriting(error, interruption));
  const failure = await outcome(work, interruption);
  if (failure === undefined) return;
  process.exitCode = failure.exitCode;
  if (failure.message !== '') await (options.report ?? reportFailure)(failure);
}

/** Says on standard error why a command failed. */
export async function reportFailure(failure: Failure): Promise<void> {
  await writeErr(`${failure.isLocated ? '' : 'snapstep: '}${failure.message}\n`);
}

/** What to tell of an exception that nobody expected. */
export function bugFailure(error: unknown): Failure {
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  const detail = process.env.SNAPSTEP_DEBUG ? `\n${stack ?? message}` : ' (SNAPSTEP_DEBUG=1 shows where)';
  return machineFailure(`this is a bug in snapstep, please report it: ${message}${detail}`);
}

async function outcome(work: Work, interruption: Interruption): Promise<Failure | undefined> {
  let failure: Failure | undefined;
  try {
    const result = await work(interruption.signal);
    if (result.isErr()) failure = result.error;
  } catch (error) {
    return bugFailure(error);
  }
  // A Ctrl-C reaches our children too, and the failure of one of them may arrive before our own signal does.
  // A write that failed is told only after the writer went on.
  await setImmediate();
  const exitCode = interruption.exitCode();
  if (exitCode === undefined) return failure;
  if (exitCode === EXIT.machine) return machineFailure(String(interruption.signal.reason));
  return { exitCode, message: exitCode === EXIT.brokenPipe ? '' : 'stopped' };
}

function stopWriting(error: NodeJS.ErrnoException, interruption: Interruption): void {
  if (error.code === 'EPIPE') interruption.stop('EPIPE', EXIT.brokenPipe);
  else interruption.stop(`cannot write the output: ${error.message}`, EXIT.machine);
}
