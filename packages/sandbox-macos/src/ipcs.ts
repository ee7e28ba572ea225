import { type Cancelled, type CommandFailed, err, ok, type Result, runCommand } from '@snapstep/core/backend';

/** Removes the message queues, shared memory and semaphores of System V that belong to a user. */
export async function removeIpc(user: string): Promise<Result<void, CommandFailed | Cancelled>> {
  const listed = await runCommand('ipcs', []);
  if (listed.isErr()) return err(listed.error);
  // T, ID, KEY, MODE, OWNER, GROUP
  const rows = listed.value.split('\n').map((line) => line.trim().split(/\s+/));
  const own = rows.filter(([type = '', , , , owner]) => /^[qms]$/.test(type) && owner === user);
  if (own.length === 0) return ok();
  const removed = await runCommand(
    'ipcrm',
    own.flatMap(([type, id = '']) => [`-${type}`, id]),
  );
  return removed.isErr() ? err(removed.error) : ok();
}
