import { runCommand } from '@snapstep/core/backend';
import createDebug from 'debug';

const debug = createDebug('snapstep:launchctl');

/**
 * Ends all jobs of a user, which launchd would start again if they were only killed.
 *
 * It fails where the user has no such domain, with a number that differs between versions of macOS. Whether jobs are
 * left shows in the processes that are left, so the reason is only traced.
 */
export async function bootOutUser(uid: number): Promise<void> {
  const ended = await Promise.all(
    [`gui/${uid}`, `user/${uid}`].map((domain) => runCommand('launchctl', ['bootout', domain])),
  );
  for (const one of ended) if (one.isErr()) debug('no jobs ended: %o', one.error);
}
