import { realpath, stat } from 'node:fs/promises';
import { delimiter, dirname } from 'node:path';
import { err, failed, type HostPath, ok, type Result, type SandboxError } from '@snapstep/core/backend';
import { findProgram } from './find-program.ts';
import { homeOf, type MacosUser } from './macos-user.ts';
import { isBelow } from './step-path.ts';

/** What is run, by us and by a store, while volumes are in their places. */
const PROGRAMS = [
  ...['zfs', 'zpool', 'mount', 'umount', 'hdiutil', 'su', 'dscl', 'pkill', 'pgrep', 'launchctl', 'crontab'],
  ...['ipcs', 'ipcrm', 'chflags', 'find', 'touch', 'sandbox-exec'],
];

/** Where steps are: what is mounted over, and what they must reach. */
interface Places {
  readonly users: readonly MacosUser[];
  readonly homebrewPrefix?: HostPath;
}

/** A user must reach his private place, and mounting may neither hide what we need nor put something in its place. */
export async function checkPlaces(
  stateDir: HostPath,
  { users, homebrewPrefix }: Places,
): Promise<Result<void, SandboxError>> {
  for (let path: string = stateDir; path !== '/'; path = dirname(path)) {
    if (((await stat(path)).mode & 0o001) === 0) {
      const message = `the users of steps cannot pass through ${path}, which is above or is stateDir`;
      return err(failed(`${message}: put it below /var/db (for the command line: XDG_STATE_HOME)`));
    }
  }
  const covered = [...users.map(({ name }) => homeOf(name)), ...(homebrewPrefix ? [homebrewPrefix] : [])];
  const hidden = (await filesNeeded(stateDir)).find((path) => isIn(covered, path));
  if (hidden !== undefined) {
    return err(failed(`${hidden} would be hidden while a volume is mounted over it: move it elsewhere`));
  }
  const unsafe = await searchedIn(covered);
  if (unsafe === undefined) return ok();
  return err(failed(`the PATH has ${unsafe}, where root would run what a step has put there: take it out`));
}

async function filesNeeded(stateDir: string): Promise<readonly string[]> {
  const needed: string[] = [stateDir, await realpath(process.execPath)];
  for (const name of PROGRAMS) {
    const found = await findProgram(name);
    if (found) needed.push(found.path, found.real);
  }
  return needed;
}

/** A directory of the PATH that a step fills. It need not be there yet. */
async function searchedIn(covered: readonly string[]): Promise<string | undefined> {
  for (const directory of (process.env.PATH ?? '').split(delimiter)) {
    const real = await realpath(directory).catch(() => directory);
    if (isIn(covered, directory) || isIn(covered, real)) return directory;
  }
  return undefined;
}

/** A Mac's disk does not tell capital letters from small ones. */
function isIn(covered: readonly string[], path: string): boolean {
  const lower = path.toLowerCase();
  return covered
    .map((place) => place.toLowerCase())
    .some((place) => lower === place || isBelow(lower, place));
}
