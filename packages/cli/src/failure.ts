/** What a command ends with. README lists them for users. */
export const EXIT = {
  ok: 0,
  /** A step failed, `fmt --check` found a file that is not canonical, or `doctor` a problem. */
  stepFailed: 1,
  /** The command line, the spec or the context is wrong. */
  usage: 2,
  /** The machine, the store, the network or Snapstep itself is at fault. */
  machine: 3,
  /** Whoever read our output has closed it, as after `| head`: what a shell shows for SIGPIPE. */
  brokenPipe: 141,
} as const;

/** Why a command ends with another exit code than 0. */
export interface Failure {
  readonly exitCode: number;
  /** One or more lines for people, without a newline at the end. Empty if there is nothing to say. */
  readonly message: string;
  /** The message begins with `file:line:column:`, which editors find only at the beginning of a line. */
  readonly isLocated?: true;
}

export function usageFailure(message: string): Failure {
  return { exitCode: EXIT.usage, message };
}

export function machineFailure(message: string): Failure {
  return { exitCode: EXIT.machine, message };
}
