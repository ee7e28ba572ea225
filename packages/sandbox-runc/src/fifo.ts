import { type Cancelled, type CommandFailed, type Result, runCommand } from '@snapstep/core/backend';

/** Makes named pipes. Node cannot, and what it calls a pipe is a socket, through which `/dev/stderr` does not open. */
export function makeFifos(paths: readonly string[]): Promise<Result<string, CommandFailed | Cancelled>> {
  return runCommand('mkfifo', ['--mode=0600', '--', ...paths]);
}
