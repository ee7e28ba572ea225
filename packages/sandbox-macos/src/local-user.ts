import { err, type Failed, failed, ok, type Result } from '@snapstep/core/backend';
import { createUser, type DsclError, isForbidden, readUser, usersWithUid } from './dscl.ts';
import { homeOf, type MacosUser } from './macos-user.ts';

/** Every macOS has it. */
const SHELL = '/bin/bash';

/** What an account has that somebody can log in to. Such an account is a person's, whose files and programs are kept. */
const LOGIN = 'AuthenticationAuthority';

/**
 * Makes sure that the user exists, with these numbers and this home directory, and is nobody else's.
 *
 * All that runs as a user ends with each step, and a volume lies over the home directory: so an account with a password,
 * or one that shares its number with another, is refused.
 */
export async function ensureUser(user: MacosUser): Promise<Result<void, Failed>> {
  const { name, uid } = user;
  const wanted = identityOf(user);
  const found = await readUser(name, [...Object.keys(wanted), LOGIN]);
  if (found.isErr()) return err(cannot(user, found.error));
  const sharers = await usersWithUid(uid);
  if (sharers.isErr()) return err(cannot(user, sharers.error));
  const others = sharers.value.filter((other) => other !== name);
  if (others.length > 0) return err(failed(`cannot use the user ${name}: ${others} has the number ${uid}`));
  // The number is the last thing that a user gets: one without was never finished.
  if (found.value?.get('UniqueID') === undefined) return makeUser(user);
  if (found.value.has(LOGIN)) {
    const message = `the user ${name} has a password, so it is somebody's account, whose programs would be ended`;
    return err(failed(`${message}: take a name and a number that nobody has, and the user is made`));
  }
  for (const [attribute, value] of Object.entries(wanted)) {
    const is = found.value.get(attribute);
    if (is !== value) {
      const message = `the user ${name} exists with ${attribute} ${is}, and not ${value}`;
      return err(failed(`${message}; a base image is made for one user with one number`));
    }
  }
  return ok();
}

function identityOf({ name, uid, gid }: MacosUser): Readonly<Record<string, string>> {
  return { PrimaryGroupID: `${gid}`, NFSHomeDirectory: homeOf(name), UniqueID: `${uid}` };
}

async function makeUser(user: MacosUser): Promise<Result<void, Failed>> {
  const all = { UserShell: SHELL, RealName: user.name, Password: '*', IsHidden: '1', ...identityOf(user) };
  for (const attribute of [[], ...Object.entries(all)] as const) {
    const made = await createUser(user.name, attribute);
    if (made.isErr()) return err(cannot(user, made.error));
  }
  return ok();
}

function cannot({ name }: MacosUser, error: DsclError): Failed {
  const message = `cannot look for, or make, the user ${name}`;
  if (isForbidden(error)) {
    return failed(`${message}: whoever starts this needs full disk access (Privacy & Security)`, error);
  }
  return failed(`${message}: ${error.type === 'failed' ? error.message : error.type}`, error);
}
