import { Turn } from './turn.ts';

/** A local user that steps run as. */
export interface MacosUser {
  /** The short name, such as `mac1000`. Its home directory is `/Users/NAME`. */
  readonly name: string;
  /**
   * From 501 on, and nobody else's. The user is made if nobody has that name; one of that name with another number, or with a
   * password, is an error.
   */
  readonly uid: number;
  /** The primary group, such as 20 (`staff`). It must exist. */
  readonly gid: number;
}

/** One at a time uses it, and nobody after it got stuck. */
export class Shared {
  readonly turn: Turn = new Turn();
  /** Why nobody may use it any more. */
  stuck: string | undefined;
}

/** A user of the pool. */
export class PoolUser extends Shared implements MacosUser {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
  readonly home: string;
  /** Where the user's temporary files go: what `getconf DARWIN_USER_TEMP_DIR` says. */
  readonly tmpDir: string;
  /** What is the user's alone below /var/folders. */
  readonly ownDirs: readonly string[];
  /** How many home directories he was given, so that fresh ones are spread over the pool. */
  given = 0;

  constructor({ name, uid, gid }: MacosUser, ownDirs: readonly [string, ...string[]]) {
    super();
    this.name = name;
    this.uid = uid;
    this.gid = gid;
    this.home = homeOf(name);
    this.tmpDir = ownDirs[0];
    this.ownDirs = ownDirs;
  }
}

/** Below it are the users of macOS itself: `_oahd`, which runs Rosetta, has 441. */
const FIRST_UID = 501;

const LAST_ID = 2 ** 31 - 1;

/** Why no pool can be made of these. */
export function whyNotUsers(users: readonly MacosUser[]): string | undefined {
  if (users.length === 0) return 'the sandbox needs a user to run steps as';
  for (const { name, uid, gid } of users) {
    if (!/^[A-Za-z_][\w.-]{0,30}$/.test(name)) return `"${name}" is not a name of a user`;
    if (name.toLowerCase() === 'shared') return `${homeOf(name)} is the directory that all users share`;
    if (!isIdFrom(FIRST_UID, uid)) {
      return `the number ${uid} of ${name} may be one of macOS itself: take one from ${FIRST_UID} on`;
    }
    // Wheel's members may do more than a user of a step should.
    if (!isIdFrom(1, gid)) return `${gid} cannot be the group of ${name}: take one such as 20 (staff)`;
  }
  // Neither for Open Directory nor for the disk do capital letters make another name.
  const keys = users.flatMap(({ name, uid }) => [name.toLowerCase(), uid]);
  return new Set(keys).size === keys.length ? undefined : 'two users have one name or one number';
}

function isIdFrom(first: number, id: number): boolean {
  return Number.isInteger(id) && id >= first && id <= LAST_ID;
}

export function homeOf(name: string): string {
  return `/Users/${name}`;
}
