import { CommanderError } from 'commander';
import { bugFailure, reportFailure } from './action.ts';
import { EXIT } from './failure.ts';
import { watchOutput } from './output.ts';
import { createProgram } from './program.ts';

/**
 * Runs a command line, such as `['build', '-f', 'build.spec']`, in this process: it writes to the process's
 * standard output and error, listens for its signals, and sets its exit code.
 */
export async function run(args: readonly string[]): Promise<void> {
  // Commander writes the help itself, where no command is watching.
  let isBroken = false;
  watchOutput(({ code }) => {
    isBroken = true;
    process.exitCode = code === 'EPIPE' ? EXIT.brokenPipe : EXIT.machine;
  });
  try {
    await createProgram().parseAsync(args, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError) {
      // Commander has said already what is wrong. Help that was asked for is no error.
      if (!isBroken) process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
      return;
    }
    const failure = bugFailure(error);
    process.exitCode = failure.exitCode;
    await reportFailure(failure);
  }
}
