import { err, type Failed, failed, ok, type Result, runCommand } from '@snapstep/core/backend';

const VARIABLES = ['DARWIN_USER_TEMP_DIR', 'DARWIN_USER_CACHE_DIR', 'DARWIN_USER_DIR'];

/** The directories below /var/folders that are a user's alone, made if need be; the one for temporary files is first. */
export async function ownDirectories(user: string): Promise<Result<readonly [string, ...string[]], Failed>> {
  const command = VARIABLES.map((name) => `getconf ${name}`).join(' && ');
  const told = await runCommand('su', ['-l', user, '-c', command]);
  if (told.isErr()) return err(failed(`cannot ask for the directories of ${user}`, told.error));
  // What the profile of the machine prints comes before.
  const [first, ...rest] = told.value.trimEnd().split('\n').slice(-VARIABLES.length);
  const lines = [first ?? '', ...rest] as const;
  const isSound = lines.length === VARIABLES.length && lines.every((line) => /^(\/[^/]+){3,}\/?$/.test(line));
  return isSound ? ok(lines) : err(failed(`getconf gave no directories of ${user}: ${told.value}`));
}
