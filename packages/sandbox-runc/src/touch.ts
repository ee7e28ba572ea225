import { type Cancelled, type CommandFailed, type Result, runCommand } from '@snapstep/core/backend';

/** Sets a modification time to the nanosecond, which Node's `utimes` rounds: it takes a floating-point number. */
export function setModified(
  path: string,
  nanoseconds: bigint,
): Promise<Result<string, CommandFailed | Cancelled>> {
  const seconds = nanoseconds / 1_000_000_000n;
  const fraction = `${nanoseconds % 1_000_000_000n}`.padStart(9, '0');
  return runCommand('touch', [
    '--no-create',
    '--no-dereference',
    '-m',
    `--date=@${seconds}.${fraction}`,
    '--',
    path,
  ]);
}
