import { Turn } from './turn.ts';

/** A local user that steps run as. */
export interface MacosUser {
  /** The short name, such as `mac1000`. Its home directory is `/Users/NAME`. */
  readonly name: string;
  /** Made if nobody has that name; a user of that name with another number is an error. */
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

export function homeOf(name: string): string {
  return `/Users/${name}`;
}
