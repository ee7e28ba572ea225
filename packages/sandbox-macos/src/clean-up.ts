import type { Cancelled, Failed, Result } from '@snapstep/core/backend';
import createDebug from 'debug';
import { removeCrontab } from './crontab.ts';
import { detachImages } from './hdiutil.ts';
import { removeIpc } from './ipcs.ts';
import { bootOutUser } from './launchctl.ts';
import type { MacosUser } from './macos-user.ts';
import { endLogins, endProcesses } from './pkill.ts';
import { type Premises, removeFiles } from './residue.ts';

const debug = createDebug('snapstep:sandbox');

/**
 * Ends everything that runs as the user, or would start to: launchd's jobs and cron's come first, since they would be
 * started again.
 *
 * @returns Why nothing more may be run as this user; undefined if all is gone.
 */
export async function endUser({ name, uid, gid }: MacosUser): Promise<string | undefined> {
  const [, crontab] = await Promise.all([bootOutUser(uid), removeCrontab(name)]);
  report(name, crontab);
  const left = await endProcesses({ uid, gid });
  if (left.isErr()) return `cannot end the processes of ${name}: ${left.error.message}`;
  return left.value.length === 0 ? undefined : `processes ${left.value.join(', ')} of ${name} do not end`;
}

/** As {@link endUser}, for a user whose sessions nobody watches any more: one may be about to begin. */
export async function endUnwatched(user: MacosUser): Promise<string | undefined> {
  const left = await endLogins(user.name);
  if (left.isErr()) return `cannot end the sessions of ${user.name}: ${left.error.message}`;
  if (left.value.length > 0)
    return `processes ${left.value.join(', ')}, which are su for ${user.name}, do not end`;
  return endUser(user);
}

/** Takes away the file systems that the user has mounted, so that those they lie in can be unmounted. */
export async function removeMounts({ name }: MacosUser): Promise<void> {
  report(name, await detachImages(name));
}

/** Removes what the user has left outside of his volumes. What stays is told as a warning of the process. */
export async function removeResidue(
  user: MacosUser & { readonly ownDirs: readonly string[] },
  premises: Premises,
): Promise<void> {
  const [ipc, files] = await Promise.all([removeIpc(user.name), removeFiles(user, premises)]);
  report(user.name, ipc);
  if (files.length > 0) warn(user.name, files.join(', '));
}

function report(user: string, done: Result<unknown, Failed | Cancelled>): void {
  if (done.isErr()) warn(user, done.error.message);
}

function warn(user: string, what: string): void {
  debug('left of %s: %s', user, what);
  process.emitWarning(`something of the user ${user} was left behind: ${what}`);
}
