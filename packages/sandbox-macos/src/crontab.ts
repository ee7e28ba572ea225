import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type Cancelled, type CommandFailed, err, ok, type Result, runCommand } from '@snapstep/core/backend';

/** Where cron of macOS keeps the tables of users (crontab(1), FILES: /usr/lib/cron/tabs, which is a link to it). */
const TABLES = '/private/var/at/tabs';

/** Removes the crontab of a user. Without one, no program is started. */
export async function removeCrontab(user: string): Promise<Result<void, CommandFailed | Cancelled>> {
  const hasNone = await stat(join(TABLES, user)).then(
    () => false,
    (error: NodeJS.ErrnoException) => error.code === 'ENOENT',
  );
  if (hasNone) return ok();
  const removed = await runCommand('crontab', ['-u', user, '-r']);
  return removed.isErr() ? err(removed.error) : ok();
}
